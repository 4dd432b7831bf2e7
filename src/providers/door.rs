//! Who may try at the moment: a bounded number, and of one network no more than its share.
//!
//! The queue of passwords is short, but what comes before it (counting the attempt, in the store) is not free either. So a
//! place is asked for before anything else is: whoever is too many hears so at once, and costs nothing. A network that
//! floods the door fills its own share, and others still get in.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// The share of one network: a quarter.
const NETWORKS: usize = 4;

/// Those inside.
#[derive(Debug, Default)]
struct Inside {
    total: usize,
    by_network: HashMap<String, usize>,
}

/// Lets so many in at a time.
#[derive(Debug, Clone)]
pub(super) struct Door {
    inside: Arc<Mutex<Inside>>,
    all: usize,
    share: usize,
}

/// Leave to try, until it is dropped.
#[derive(Debug)]
#[must_use]
pub struct Turn {
    inside: Arc<Mutex<Inside>>,
    network: String,
}

impl Door {
    /// Wide enough for `all`.
    pub(super) fn new(all: usize) -> Self {
        Self { inside: Arc::default(), all, share: (all / NETWORKS).max(1) }
    }

    /// A turn for somebody of this network; `None` when too many have one.
    pub(super) fn enter(&self, network: &str) -> Option<Turn> {
        let mut inside = self.inside.lock().unwrap_or_else(PoisonError::into_inner);
        let own = inside.by_network.get(network).copied().unwrap_or_default();
        if inside.total >= self.all || own >= self.share {
            return None;
        }
        inside.total += 1;
        inside.by_network.insert(network.to_owned(), own + 1);
        Some(Turn { inside: Arc::clone(&self.inside), network: network.to_owned() })
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut inside = self.inside.lock().unwrap_or_else(PoisonError::into_inner);
        inside.total = inside.total.saturating_sub(1);
        let left = inside.by_network.get(&self.network).copied().unwrap_or_default().saturating_sub(1);
        if left == 0 {
            inside.by_network.remove(&self.network);
        } else {
            inside.by_network.insert(self.network.clone(), left);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_has_its_share_and_all_have_an_end() {
        let door = Door::new(8);
        let flood: Vec<Turn> = (0..100).filter_map(|_| door.enter("a")).collect();
        assert_eq!(flood.len(), 2);
        let others: Vec<Turn> = (0..100).filter_map(|number| door.enter(&number.to_string())).collect();
        assert_eq!(others.len(), 6, "the rest is for others");
        assert!(door.enter("z").is_none());
        drop(flood);
        assert!(door.enter("z").is_some());
        drop(others);
        assert!(door.inside.lock().unwrap().by_network.is_empty(), "nothing is remembered");
        assert!(Door::new(0).enter("a").is_none());
    }
}
