//! The memory Argon2 works in.
//!
//! Every hash fills 19 MiB. Taken from the allocator and given back each time, a burst leaves many times that behind: glibc
//! keeps what was freed in the arena of the thread that freed it, and any blocking thread may have been the one. So a piece
//! of memory is lent to one hash after another while hashes are under way, wiped in between, and returned to the operating
//! system when the last one ends. A burst costs one piece per core, and leaves nothing.

use std::sync::{Mutex, PoisonError};

use argon2::Block;

/// Pieces above glibc's largest threshold (32 MiB) are mapped on their own, so that dropping one really returns it. Only
/// what is used of a piece takes up memory.
const MAPPED_BLOCKS: usize = 33 * 1024;

/// One piece: blocks of 1 KiB.
pub(super) struct WorkingMemory(Vec<Block>);

impl WorkingMemory {
    /// A fresh piece with room for `blocks`.
    pub(super) fn new(blocks: usize) -> Self {
        Self(Vec::with_capacity(blocks.max(MAPPED_BLOCKS)))
    }

    /// Exactly so many blocks. Argon2 writes each before it reads it.
    pub(super) fn blocks(&mut self, count: usize) -> &mut [Block] {
        self.0.resize(count, Block::new());
        &mut self.0
    }

    /// What a password was mixed into is not kept.
    fn wipe(&mut self) {
        self.0.fill(Block::new());
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
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        idle.unwrap_or_else(|| WorkingMemory::new(self.blocks))
    }

    /// Keeps a piece for the next hash. One that grew beyond the usual size is not worth keeping.
    pub(super) fn keep(&self, mut memory: WorkingMemory) {
        if memory.0.len() <= self.blocks {
            memory.wipe();
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(memory);
        }
    }

    /// Returns everything idle to the operating system.
    pub(super) fn release(&self) {
        let idle = std::mem::take(&mut *self.idle.lock().unwrap_or_else(PoisonError::into_inner));
        drop(idle);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_is_lent_again_and_wiped() {
        let memories = WorkingMemories::new(64);
        let mut memory = memories.take();
        for block in memory.blocks(64) {
            block.as_mut().fill(7);
        }
        let place = memory.0.as_ptr();
        memories.keep(memory);
        let mut again = memories.take();
        assert_eq!(again.0.as_ptr(), place, "the same piece");
        assert!(again.blocks(64).iter().all(|block| block.as_ref().iter().all(|word| *word == 0)));
        memories.keep(again);
        memories.release();
        assert!(memories.idle.lock().unwrap().is_empty());
    }

    #[test]
    fn a_piece_that_grew_is_not_kept() {
        let memories = WorkingMemories::new(64);
        let mut memory = memories.take();
        assert_eq!(memory.blocks(128).len(), 128);
        memories.keep(memory);
        assert!(memories.idle.lock().unwrap().is_empty());
    }
}
