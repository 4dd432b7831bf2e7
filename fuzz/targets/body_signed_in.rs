#![no_main]

#[path = "../properties.rs"]
#[allow(dead_code, reason = "one property of many")]
mod properties;

thread_local! {
    // Leaked: a runtime must not end while its thread does.
    static SITE: &'static properties::Site = Box::leak(Box::new(properties::Site::new()));
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| SITE.with(|site| site.body_signed_in(bytes)));
