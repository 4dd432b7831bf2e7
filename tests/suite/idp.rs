//! What the suite calls the local provider of the testing kit.

pub(crate) use countersign::testing::{OpenIdProvider as Idp, ProviderReply as Reply};
