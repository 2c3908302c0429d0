#![no_main]

#[path = "../laws.rs"]
mod laws;

use std::sync::LazyLock;

use laws::Laws;

static LAWS: LazyLock<Laws> = LazyLock::new(Laws::new);

libfuzzer_sys::fuzz_target!(|text: &str| LAWS.check(text));
