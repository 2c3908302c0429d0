//! What is compared.

/// A daemon's telemetry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Contestant {
    /// `telemetry.enabled = false`.
    Off,
    /// As it is by default: file, console, redaction, metrics, at the level `info`.
    On,
    /// The same with a record for each file that was changed.
    Debug,
}

impl Contestant {
    /// In the order of the enum.
    pub(super) const ALL: [Self; 3] = [Self::Off, Self::On, Self::Debug];

    /// For the table, and for its directory.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::On => "on",
            Self::Debug => "on, level debug",
        }
    }

    pub(super) fn is_on(self) -> bool {
        self != Self::Off
    }

    pub(super) fn level(self) -> &'static str {
        match self {
            Self::Off | Self::On => "info",
            Self::Debug => "debug",
        }
    }
}
