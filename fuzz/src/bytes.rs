//! Bytes as a list of operations.

/// Reads an input from its front. At its end everything is zero, so every input is a list of
/// operations, and a shorter one a shorter list.
pub struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    /// Of this input.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Whether anything is left.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// One byte.
    pub fn u8(&mut self) -> u8 {
        let Some((&first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        first
    }

    /// A number of two bytes.
    pub fn u16(&mut self) -> u16 {
        u16::from_be_bytes([self.u8(), self.u8()])
    }

    /// An index below `len`, which is not 0.
    pub fn index(&mut self, len: usize) -> usize {
        usize::from(self.u8()) % len
    }

    /// Up to 255 bytes, their number first.
    pub fn short(&mut self) -> &'a [u8] {
        let len = usize::from(self.u8());
        self.take(len)
    }

    /// Up to 4,095 bytes, their number first.
    pub fn long(&mut self) -> &'a [u8] {
        let len = usize::from(self.u16()) % 4096;
        self.take(len)
    }

    /// `N` bytes, filled up with zeros.
    pub fn array<const N: usize>(&mut self) -> [u8; N] {
        let mut out = [0; N];
        let taken = self.take(N);
        out[..taken.len()].copy_from_slice(taken);
        out
    }

    /// All that is left.
    pub fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }

    /// Changes a few bytes of something valid: how many, then where and by what.
    pub fn edit(&mut self, valid: &[u8]) -> Vec<u8> {
        let mut bytes = valid.to_vec();
        for _ in 0..self.u8() % 8 {
            let (at, mask) = (usize::from(self.u16()), self.u8());
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= mask;
            }
        }
        bytes
    }

    fn take(&mut self, len: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(len.min(self.0.len()));
        self.0 = rest;
        taken
    }
}
