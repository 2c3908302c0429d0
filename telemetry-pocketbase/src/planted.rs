//! Bugs that the simulator plants, to show that it finds them.
//!
//! Without the feature `simulation` the macro is the constant `false`, and the
//! compiler removes what depends on it.

/// Whether the simulator has planted this bug.
#[cfg(feature = "simulation")]
macro_rules! planted {
    ($bug:ident) => {
        $crate::simulation::is_planted($crate::simulation::Bug::$bug)
    };
}

/// Whether the simulator has planted this bug: there is none in this build.
#[cfg(not(feature = "simulation"))]
macro_rules! planted {
    ($bug:ident) => {
        false
    };
}

pub(crate) use planted;
