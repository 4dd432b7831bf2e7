//! The memory Argon2 works in.
//!
//! Every hash fills 19 MiB. Taken from the allocator and given back each time, a burst leaves many times that behind: glibc
//! keeps what was freed in the arena of the thread that freed it, and any blocking thread may have been the one. So a piece
//! of memory is lent to one hash after another while hashes are under way, and returned to the operating system when the
//! last one ends. A burst costs one piece per core, and leaves nothing.
//!
//! A piece that has to wait for the next hash is wiped first. One that somebody waits for is not: Argon2 writes each block
//! before it reads it, so the next password is mixed over the last one at once, and to write it all twice would take a
//! twentieth of the time that a hash takes.

use std::sync::{Mutex, MutexGuard, PoisonError};

use argon2::Block;

/// Pieces above glibc's largest threshold (32 MiB) are mapped on their own, so that dropping one really returns it. Only
/// what is used of a piece takes up memory.
const MAPPED_BLOCKS: usize = 33 * 1024;

/// One piece: blocks of 1 KiB.
pub(super) struct WorkingMemory {
    blocks: Vec<Block>,
    is_wiped: bool,
}

impl WorkingMemory {
    /// A fresh piece with room for `blocks`.
    pub(super) fn new(blocks: usize) -> Self {
        Self { blocks: Vec::with_capacity(blocks.max(MAPPED_BLOCKS)), is_wiped: true }
    }

    /// Exactly so many blocks. Argon2 writes each before it reads it.
    pub(super) fn blocks(&mut self, count: usize) -> &mut [Block] {
        // A piece never shrinks: what a smaller hash does not write over is still there to be wiped.
        if self.blocks.len() < count {
            self.blocks.resize(count, Block::new());
        }
        self.is_wiped = false;
        self.blocks.get_mut(..count).unwrap_or_default()
    }

    /// What a password was mixed into is not kept.
    fn wipe(&mut self) {
        if !self.is_wiped {
            self.blocks.fill(Block::new());
            self.is_wiped = true;
        }
    }
}

/// The pieces that wait for the next hash: never more than hashes ran at a time.
pub(super) struct WorkingMemories {
    idle: Mutex<Vec<WorkingMemory>>,
    blocks: usize,
}

impl WorkingMemories {
    /// None yet; each will have room for `blocks`.
    pub(super) fn new(blocks: usize) -> Self {
        Self { idle: Mutex::default(), blocks }
    }

    /// An idle piece, or a new one.
    pub(super) fn take(&self) -> WorkingMemory {
        let idle = self.idle().pop();
        idle.unwrap_or_else(|| WorkingMemory::new(self.blocks))
    }

    /// Keeps a piece for the next hash, wiped unless that one `is_awaited` already. One that grew beyond the usual size is
    /// not worth keeping.
    pub(super) fn keep(&self, mut memory: WorkingMemory, is_awaited: bool) {
        if memory.blocks.len() > self.blocks {
            return;
        }
        if is_awaited {
            self.idle().push(memory);
            return;
        }
        memory.wipe();
        let mut idle = self.idle();
        // Whoever one of these was kept for has gone, or got another.
        idle.iter_mut().for_each(WorkingMemory::wipe);
        idle.push(memory);
    }

    /// Returns everything idle to the operating system.
    pub(super) fn release(&self) {
        let idle = std::mem::take(&mut *self.idle());
        drop(idle);
    }

    fn idle(&self) -> MutexGuard<'_, Vec<WorkingMemory>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A piece on which a password left its traces.
    fn used(memories: &WorkingMemories) -> WorkingMemory {
        let mut memory = memories.take();
        memory.blocks(64).iter_mut().for_each(|block| block.as_mut().fill(7));
        memory
    }

    fn holds_only(memory: &WorkingMemory, word: u64) -> bool {
        memory.blocks.iter().all(|block| block.as_ref().iter().all(|found| *found == word))
    }

    #[test]
    fn a_piece_is_lent_again_and_wiped_unless_it_is_written_over_at_once() {
        let memories = WorkingMemories::new(64);
        let memory = used(&memories);
        let place = memory.blocks.as_ptr();
        memories.keep(memory, true);
        let again = memories.take();
        assert!(again.blocks.as_ptr() == place && holds_only(&again, 7), "the same piece, as it was");
        memories.keep(again, false);
        let again = memories.take();
        assert!(again.blocks.as_ptr() == place && again.blocks.len() == 64 && holds_only(&again, 0), "wiped");
        memories.keep(again, false);
        memories.release();
        assert!(memories.idle().is_empty());
    }

    #[test]
    fn what_nobody_came_for_is_wiped_with_the_next() {
        let memories = WorkingMemories::new(64);
        let (one, two) = (used(&memories), used(&memories));
        memories.keep(one, true);
        memories.keep(two, false);
        assert!(memories.idle().iter().all(|idle| idle.blocks.len() == 64 && holds_only(idle, 0)));
    }

    #[test]
    fn what_a_smaller_hash_leaves_over_is_wiped() {
        let memories = WorkingMemories::new(64);
        let mut memory = used(&memories);
        assert_eq!(memory.blocks(16).len(), 16);
        memories.keep(memory, false);
        let again = memories.take();
        assert!(again.blocks.len() == 64 && holds_only(&again, 0));
    }

    #[test]
    fn a_piece_that_grew_is_not_kept() {
        let memories = WorkingMemories::new(64);
        let mut memory = memories.take();
        assert_eq!(memory.blocks(128).len(), 128);
        memories.keep(memory, false);
        assert!(memories.idle().is_empty());
    }
}
