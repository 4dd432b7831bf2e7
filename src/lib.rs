//! Countersign.

pub mod clock;
pub mod config;
pub mod model;
pub mod secret;
#[cfg(feature = "server")]
pub mod store;
pub mod token;
