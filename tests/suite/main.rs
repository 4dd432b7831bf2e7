//! The behaviour suite: what people, scripts and attackers see.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests fail by panicking")]

mod account;
mod account_life;
#[expect(unreachable_pub, reason = "the file of the guide, word for word")]
mod acme;
mod acts;
mod app;
mod attacks;
mod audit;
mod audit_acts;
mod browser;
mod clocks;
mod confirmed;
mod cookies;
mod credentials;
mod csrf;
mod damaged_rows;
mod database;
mod dump;
mod email;
mod every_act;
mod every_call;
mod factors;
mod failing_hooks;
mod faults;
mod forgeries;
mod forms;
mod guard_check;
mod guards;
mod hooks;
mod hooks_and_proofs;
mod host_cookies;
mod hostile;
mod idp;
mod in_flight;
mod linking;
mod linking_proof;
mod log_secrets;
mod logs;
mod mail_limits;
mod names;
mod notices;
mod oidc;
mod outages;
mod overtaken;
mod own_data;
mod pages;
mod preparations;
mod presets;
mod promises;
mod protocol;
mod provider_tokens;
mod recorded;
mod redirects;
mod replay;
mod request_ids;
mod roles;
mod rotation;
mod route_audit;
mod sessions;
mod shown_once;
mod sign_up;
mod verified;

#[path = "../support/data.rs"]
mod data;

#[path = "../support/document.rs"]
mod document;

#[path = "../support/postgres.rs"]
mod postgres;
