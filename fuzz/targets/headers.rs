#![no_main]

#[path = "../properties.rs"]
#[allow(dead_code, reason = "one property of many")]
mod properties;

thread_local! {
    // Leaked: a runtime must not end while its thread does.
    static SITE: &'static properties::Site = Box::leak(Box::new(properties::Site::new()));
}

libfuzzer_sys::fuzz_target!(|text: &str| SITE.with(|site| site.headers(text)));
