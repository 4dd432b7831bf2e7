//! The contents of a session token.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The claims of a session token: a JSON object with typed access to those Countersign knows.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Claims(pub Map<String, Value>);
