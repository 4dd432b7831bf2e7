//! Deleting much, a little at a time.
//!
//! SQLite has one writer, and whoever signs in meanwhile waits for it: a batch takes a moment that nobody notices. How many
//! rows that is depends on the disk and on what else goes on, so each batch is as large as the one before it lets it be.

use std::future::Future;
use std::time::{Duration, Instant};

use super::Error;

/// What a batch may take, the wait for its turn included.
const MOMENT: Duration = Duration::from_millis(50);
/// Rows of a batch, however slow the disk; and of the first.
const LEAST: u32 = 250;
/// Rows of a batch, however fast: one statement of PostgreSQL stays well within its time-out.
const MOST: u32 = 10_000;

/// Deletes by `delete`, which is told how many rows at most and tells how many went, until nothing is left.
///
/// # Errors
/// [`Error`]; what was deleted stays deleted.
pub(crate) async fn in_batches<F>(delete: impl Fn(u32) -> F) -> Result<(), Error>
where
    F: Future<Output = Result<u64, Error>>,
{
    let mut batch = LEAST;
    loop {
        let began = Instant::now();
        if delete(batch).await? < u64::from(batch) {
            return Ok(());
        }
        batch = next(batch, began.elapsed());
        tokio::task::yield_now().await;
    }
}

/// The size after a batch that took so long.
fn next(batch: u32, took: Duration) -> u32 {
    if took > MOMENT {
        (batch / 2).max(LEAST)
    } else if took < MOMENT / 4 {
        (batch * 2).min(MOST)
    } else {
        batch
    }
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};

    use super::*;

    #[test]
    fn a_batch_grows_while_it_is_quick_and_shrinks_when_it_is_not() {
        let ms = Duration::from_millis;
        assert_eq!(next(LEAST, ms(1)), 2 * LEAST);
        assert_eq!(next(1000, ms(30)), 1000);
        assert_eq!(next(1000, ms(51)), 500);
        assert_eq!(next(LEAST, ms(5000)), LEAST);
        assert_eq!(next(MOST, ms(1)), MOST);
    }

    #[tokio::test]
    async fn everything_goes_and_a_failure_ends_it() {
        let (left, asked) = (Cell::new(100_000_u64), RefCell::new(Vec::new()));
        let delete = |limit: u32| {
            asked.borrow_mut().push(limit);
            let gone = left.get().min(u64::from(limit));
            left.set(left.get() - gone);
            std::future::ready(Ok(gone))
        };
        in_batches(delete).await.unwrap();
        assert_eq!(left.get(), 0);
        assert!(asked.borrow().iter().all(|limit| (LEAST..=MOST).contains(limit)), "{asked:?}");
        let asked = Cell::new(0);
        let fail = |_| {
            asked.set(asked.get() + 1);
            std::future::ready(Err(Error::Unavailable("down".to_owned())))
        };
        assert!(in_batches(fail).await.is_err());
        assert_eq!(asked.get(), 1);
    }
}
