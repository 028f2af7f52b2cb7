//! Safety numbers.

/// x
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SafetyNumber {
    digits: [u8; 60],
    fingerprint: [u8; 32],
}
