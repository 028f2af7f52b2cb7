//! What a seed gave, on the disk: a campaign of hours that is stopped goes on where it was.

use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use super::{Days, Extent};
use crate::systems::System;

/// A directory of runs, of one very program: what another build gave is not looked at.
#[derive(Debug, Clone)]
pub struct Kept {
    directory: PathBuf,
    program: blake3::Hash,
    /// Whether it is another program's: this one adds nothing to it.
    is_others: bool,
}

impl Kept {
    /// In this directory, which is made; of this program, or of another one that is given.
    ///
    /// # Errors
    /// If it cannot be, or the program cannot be read.
    pub fn new(directory: &Path, program: Option<&Path>) -> io::Result<Self> {
        std::fs::create_dir_all(directory)?;
        let is_others = program.is_some();
        let program = program.map_or_else(std::env::current_exe, |path| Ok(path.to_owned()))?;
        let program = blake3::hash(&std::fs::read(program)?);
        Ok(Self { directory: directory.to_owned(), program, is_others })
    }

    /// Everything that decides what a run gives is in the name, besides the seed as a digest.
    fn path(&self, system: &dyn System, extent: Extent, seed: u64) -> PathBuf {
        // How many there are is nothing to one of them.
        let extent = Extent { seeds: 0, ..extent };
        let mut digest = blake3::Hasher::new();
        digest.update(self.program.as_bytes());
        digest.update(format!("{} {system:?} {extent:?}", system.name()).as_bytes());
        let digest = &digest.finalize().to_hex()[..16];
        let name = system.name().replace(' ', "-");
        self.directory.join(format!("{name}-{}-{seed}-{digest}", extent.clients))
    }

    /// What this seed gave, if it was run.
    pub(super) fn load(
        &self,
        system: &dyn System,
        extent: Extent,
        seed: u64,
    ) -> io::Result<Option<Days>> {
        let path = self.path(system, extent, seed);
        let bytes = match std::fs::read(&path) {
            Err(why) if why.kind() == ErrorKind::NotFound && self.is_others => {
                let what = format!("{}: that program has not given it", path.display());
                return Err(io::Error::new(ErrorKind::NotFound, what));
            }
            Err(why) if why.kind() == ErrorKind::NotFound => return Ok(None),
            read => read?,
        };
        postcard::from_bytes(&bytes).map(Some).map_err(io::Error::other)
    }

    /// Whole, or not at all.
    pub(super) fn store(
        &self,
        system: &dyn System,
        extent: Extent,
        seed: u64,
        days: &Days,
    ) -> io::Result<()> {
        let path = self.path(system, extent, seed);
        // Another process may be at the same seed.
        let half = path.with_extension(format!("half-{}", std::process::id()));
        let mut file = std::fs::File::create(&half)?;
        file.write_all(&postcard::to_allocvec(days).map_err(io::Error::other)?)?;
        file.sync_all()?;
        std::fs::rename(half, path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::campaign::measure;
    use crate::systems::Direct;

    #[test]
    fn what_is_kept_is_not_run_again_and_gives_the_same() {
        let directory = std::env::temp_dir().join(format!("xchat-kept-{}", std::process::id()));
        let kept = Kept::new(&directory, None).expect("a directory");
        let extent = Extent::quick(3);
        let run = |seeds, kept| {
            let mut begun = 0;
            let extent = Extent { seeds, ..extent };
            let found = measure(&Direct, extent, kept, &mut |_| begun += 1).expect("a disk");
            assert_eq!(begun, seeds);
            found
        };
        let afresh = run(3, None);
        run(2, Some(&kept));
        let modified = |seed| {
            let path = kept.path(&Direct, extent, seed);
            std::fs::metadata(path).and_then(|file| file.modified()).ok()
        };
        let before = (modified(1), modified(2), modified(3));
        assert!(before.0.is_some() && before.1.is_some() && before.2.is_none());
        assert_eq!(run(3, Some(&kept)), afresh);
        assert_eq!((modified(1), modified(2)), (before.0, before.1));
        // Another extent is another run.
        assert_ne!(
            kept.path(&Direct, extent, 1),
            kept.path(&Direct, Extent { hours: 5, ..extent }, 1)
        );
        // Another program's runs are found by its name, and not by this one's.
        let other = directory.join("program");
        std::fs::write(&other, b"another build").expect("a disk");
        let others = Kept::new(&directory, Some(&other)).expect("a directory");
        assert_ne!(kept.path(&Direct, extent, 1), others.path(&Direct, extent, 1));
        assert!(measure(&Direct, extent, Some(&others), &mut |_| {}).is_err());
        let itself = std::env::current_exe().expect("a program");
        let again = Kept::new(&directory, Some(&itself)).expect("a directory");
        assert_eq!(measure(&Direct, extent, Some(&again), &mut |_| {}).expect("kept"), afresh);
        std::fs::write(kept.path(&Direct, extent, 1), [1, 2, 3]).expect("a disk");
        assert!(measure(&Direct, extent, Some(&kept), &mut |_| {}).is_err());
        std::fs::remove_dir_all(directory).expect("a disk");
    }
}
