//! What OpenMLS is given for the time of one operation: our storage, our randomness, and RustCrypto.

mod crypto;
mod draw;

use openmls_rust_crypto::RustCrypto;
use openmls_traits::OpenMlsProvider;
use xchat_base::Rng;

use crate::storage::Storage;
use crypto::Crypto;
use draw::Draw;

/// Made for one operation and dropped after it, and with it the randomness that it was given.
pub(crate) struct Provider<'a> {
    storage: &'a Storage,
    crypto: Crypto<'a>,
}

impl<'a> Provider<'a> {
    /// For operations that draw: what OpenMLS draws comes from a seed that is drawn here.
    pub(crate) fn drawing(storage: &'a Storage, rust: &'a RustCrypto, rng: &mut Rng) -> Self {
        Self { storage, crypto: Crypto::new(rust, Draw::seeded(rng)) }
    }

    /// For operations that must not draw: an attempt fails them.
    pub(crate) fn fixed(storage: &'a Storage, rust: &'a RustCrypto) -> Self {
        Self { storage, crypto: Crypto::new(rust, Draw::none()) }
    }
}

impl<'a> OpenMlsProvider for Provider<'a> {
    type CryptoProvider = Crypto<'a>;
    type RandProvider = Draw;
    type StorageProvider = Storage;

    fn storage(&self) -> &Storage {
        self.storage
    }

    fn crypto(&self) -> &Crypto<'a> {
        &self.crypto
    }

    fn rand(&self) -> &Draw {
        self.crypto.draw()
    }
}
