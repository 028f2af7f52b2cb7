//! Someone who has published a key package and is in no group yet.

use xchat_base::Rng;
use zeroize::Zeroizing;

use super::GroupError;

/// The private side of a published key package.
pub struct PendingMember {}

#[allow(unused_variables, clippy::unimplemented, missing_docs, clippy::missing_errors_doc)]
impl PendingMember {
    pub fn generate(rng: &mut Rng) -> Result<(Self, Vec<u8>), GroupError> {
        unimplemented!()
    }
    pub fn to_stored(&self) -> Zeroizing<Vec<u8>> {
        unimplemented!()
    }
    pub fn from_stored(bytes: &[u8]) -> Result<Self, GroupError> {
        unimplemented!()
    }
}
