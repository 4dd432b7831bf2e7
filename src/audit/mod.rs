//! What happened, recorded once in the database and once in the log.
//!
//! Every sign-in, failure, sign-up, sign-out, revocation, change of a password or profile, every limit that was hit and
//! every request that was refused is an [`AuditEvent`]. Each becomes one record of the store and one line of the log
//! (target `countersign::audit`) with the same fields: sequence, time, event, outcome, user, the address that was named,
//! network address, request, session, details. Neither ever holds a secret: an [`Entry`] takes no text that somebody
//! typed but an address that was parsed, because people type passwords into that field.
//!
//! # Acts and refusals
//! An *act* (somebody signed in, a session was ended) is recorded right after it was stored and before it is answered,
//! by [`AuditLog::record`]. When the record cannot be stored, the act stands: a sign-out that happened must not be
//! reported as one that did not, and a sign-in answered by 503 would have left a session behind. The whole record is
//! then logged at level `error` and counted (`countersign_audit_lost_total`): it does not vanish.
//!
//! A *refusal* is what anybody can cause as often as they like: a wrong password, a missing CSRF token, a guarded route
//! without a session. [`AuditLog::refuse`] asks the store nothing; records are written a moment later, together. Of
//! refusals that are alike (event, person, network, details) one per minute is written, and when the minute is over one
//! more that says how often it was `repeated`. Beyond `audit_log.refusals_per_minute` different ones, only their number
//! is kept ([`AuditEvent::RefusalsOmitted`]). So neither table nor log grows faster than that, whatever arrives. A
//! process that is killed loses the refusals of its last second.
//!
//! # The chain
//! Each record's hash covers its fields and the hash before it ([`AuditRecord`](crate::model::AuditRecord)), and the
//! store notes both ends of the chain. [`verify`] reads it through: what was altered, removed, moved or cut off is found
//! and named. Records older than `audit_log.keep` are deleted from the oldest on, and the anchor moves along, so what is
//! kept still verifies.
//!
//! # Adding an event
//! One variant of [`AuditEvent`] with its code, and one call where it happens:
//!
//! ```
//! # #[cfg(feature = "server")]
//! # mod example {
//! use countersign::audit::{AuditEvent, AuditLog, Entry};
//! use countersign::model::UserId;
//!
//! async fn enable(audit: &AuditLog, id: &UserId) {
//!     // … store that the user is enabled, and then:
//!     audit.record(Entry::new(AuditEvent::UserEnabled).user(id).detail("by", "command_line")).await;
//! }
//! # }
//! ```

mod context;
#[cfg(feature = "server")]
mod entry;
#[cfg(feature = "server")]
mod event;
#[cfg(feature = "server")]
mod flood;
#[cfg(feature = "server")]
mod log;
#[cfg(feature = "server")]
mod verify;

pub use context::RequestContext;
#[cfg(feature = "server")]
pub use entry::{Detail, Entry};
#[cfg(feature = "server")]
pub use event::{AuditEvent, Outcome};
#[cfg(feature = "server")]
pub use log::AuditLog;
#[cfg(feature = "server")]
pub use verify::{Finding, Verified, VerifyError, verify};
