//! What Countersign knows: plain data and parsed newtypes.
//!
//! No SQL and no Rocket here. A value of one of these types was checked when it was made: an [`Email`] is one
//! deliverable address in canonical form, a [`DisplayName`] is text that fits. Parse, don't validate.

mod access_token;
mod audit_record;
mod email;
mod factors;
mod linked_account;
mod name;
mod request_id;
#[cfg(test)]
pub(crate) mod samples;
mod session_record;
mod user;
mod verification;

pub use access_token::{AccessTokenRecord, Permission, PermissionError};
pub use audit_record::{AuditEntry, AuditRecord, ChainHash, ChainMark};
pub use email::{Email, EmailError};
pub use factors::{Factors, PasskeyRecord, TotpRecord};
pub use linked_account::{ExternalId, LinkedAccount, NewAccount};
pub use name::{DisplayName, DisplayNameError};
pub use request_id::RequestId;
pub use session_record::{AuthMethod, Revocation, SessionRecord, Strategy, Subject};
pub use user::{NewUser, SecurityStamp, User, UserId};
pub use verification::{MailedCode, Purpose, Verification};
