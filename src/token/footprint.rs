//! What JSON takes in memory, for caches that are bounded by it.

use serde_json::{Map, Value};

/// What a member takes besides its texts, bytes: its place in a half-filled node, and what an allocator adds.
const MEMBER: usize = 96;
/// The same of a list's item.
const ITEM: usize = 48;

/// Bytes that these members take, rounded up.
pub(crate) fn of_members(members: &Map<String, Value>) -> usize {
    members.iter().map(|(name, value)| MEMBER + name.len() + of(value)).sum()
}

fn of(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(|item| ITEM + of(item)).sum(),
        Value::Object(members) => of_members(members),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn everything_that_can_grow_is_counted() {
        let Value::Object(small) = json!({ "a": [{ "b": "c" }] }) else { panic!() };
        let least = of_members(&small);
        for grown in [
            json!({ "a": [{ "b": "c".repeat(1000) }] }),
            json!({ "a": [{ "b".repeat(1000): "c" }] }),
            json!({ "a": vec![json!({ "b": "c" }); 20] }),
            json!({ "a": [{ "b": "c" }], "d": vec![0; 100] }),
        ] {
            let Value::Object(grown) = grown else { panic!() };
            assert!(of_members(&grown) >= least + 900, "{}", of_members(&grown));
        }
    }
}
