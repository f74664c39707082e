//! Memory for activations that is used again: a step asks for as much as the step before it, and fresh memory would have to be set to zero.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::ops::{Deref, DerefMut};

thread_local! {
    static SPARE: RefCell<VecDeque<Vec<f32>>> = const { RefCell::new(VecDeque::new()) };
}

/// Buffers that a thread keeps: one for each block of a ConvNet, and its tangent's.
const KEPT: usize = 8;

/// Numbers that go back to their thread when they are dropped.
#[derive(Default)]
pub(super) struct Buffer(Vec<f32>);

impl Buffer {
    /// `len` numbers of any value, to be overwritten.
    pub(super) fn of(len: usize) -> Self {
        let spare = SPARE.with_borrow_mut(|spare| {
            let fitting = (0..spare.len()).filter(|&i| spare[i].capacity() >= len).min_by_key(|&i| spare[i].capacity());
            fitting.and_then(|i| spare.remove(i))
        });
        let mut values = spare.unwrap_or_else(|| Vec::with_capacity(len));
        values.resize(len, 0.0);
        Self(values)
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let values = std::mem::take(&mut self.0);
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
        &self.0
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.0
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
        let again = Buffer::of(600);
        assert_eq!((again.as_ptr(), again.len()), (place, 600));
        drop((0..20).map(Buffer::of).collect::<Vec<_>>());
        assert_eq!(SPARE.with_borrow(VecDeque::len), KEPT);
    }
}
