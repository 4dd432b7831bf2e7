#![no_main]

#[path = "../properties.rs"]
#[allow(dead_code, reason = "one property of many")]
mod properties;

libfuzzer_sys::fuzz_target!(|text: &str| properties::cookies(text));
