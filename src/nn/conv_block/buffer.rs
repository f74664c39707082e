//! Memory for activations and sums that is used again: a step asks for as much as the step before it, and fresh memory would have to be set to zero.
//! It starts where a line of the cache does, so that no vector lies across two.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::ops::{Deref, DerefMut};

thread_local! {
    static SPARE: RefCell<VecDeque<Vec<f32>>> = const { RefCell::new(VecDeque::new()) };
}

/// Buffers that a thread keeps: what the blocks of a ConvNet and their tangents keep, and what is needed while one image passes.
const KEPT: usize = 16;

/// Numbers in a line of the cache.
const LINE: usize = 16;

/// Numbers that go back to their thread when they are dropped.
#[derive(Default)]
pub(super) struct Buffer {
    values: Vec<f32>,
    start: usize,
}

impl Buffer {
    /// `len` numbers of any value, to be overwritten.
    pub(super) fn of(len: usize) -> Self {
        let room = len + LINE - 1;
        let spare = SPARE.with_borrow_mut(|spare| {
            let fitting = (0..spare.len()).filter(|&i| spare[i].capacity() >= room).min_by_key(|&i| spare[i].capacity());
            fitting.and_then(|i| spare.remove(i))
        });
        let mut values = spare.unwrap_or_else(|| Vec::with_capacity(room));
        let start = values.as_ptr().align_offset(LINE * size_of::<f32>()).min(LINE - 1);
        values.resize(start + len, 0.0);
        Self { values, start }
    }

    /// `len` zeros.
    pub(super) fn zeros(len: usize) -> Self {
        let mut buffer = Self::of(len);
        buffer.fill(0.0);
        buffer
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let values = std::mem::take(&mut self.values);
        if values.capacity() == 0 {
            return;
        }
        // A thread that ends has no more use for it.
        let _ = SPARE.try_with(|spare| {
            let mut spare = spare.borrow_mut();
            spare.push_back(values);
            if spare.len() > KEPT {
                spare.pop_front();
            }
        });
    }
}

impl Deref for Buffer {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.values[self.start..]
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.values[self.start..]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_used_again_and_only_so_much_is_kept() {
        let mut first = Buffer::of(1000);
        first.fill(7.0);
        let place = first.as_ptr();
        drop(first);
        assert!(Buffer::of(2000).as_ptr() != place, "too small");
        let again = Buffer::zeros(600);
        assert_eq!((again.as_ptr(), again.len(), again.iter().sum::<f32>()), (place, 600, 0.0));
        drop((0..40).map(Buffer::of).collect::<Vec<_>>());
        assert_eq!(SPARE.with_borrow(VecDeque::len), KEPT);
    }

    #[test]
    fn memory_starts_with_a_line_of_the_cache() {
        let buffers: Vec<Buffer> = (1..50).map(|i| Buffer::of(37 * i)).collect();
        assert!(buffers.iter().all(|buffer| (buffer.as_ptr() as usize).is_multiple_of(64)));
        assert!(buffers.iter().zip(1..).all(|(buffer, i)| buffer.len() == 37 * i));
    }
}
