//! A client without cover: it sends when somebody says something, and else nothing. The shape of what it sends must
//! be told apart, or the test sees nothing.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Tells a process that it is such a client: its network file.
const NETWORK: &str = "XCHAT_E2E_SHAPE_NETWORK";

/// How many seconds apart it says something, on average.
const MEAN: &str = "XCHAT_E2E_SHAPE_MEAN";

/// A process of such a client.
pub(crate) struct Bare(Child);

impl Bare {
    /// Where `runner` runs things.
    pub(crate) fn at(runner: &[String], network: &Path, mean_secs: u32) -> Self {
        let child = Command::new(&runner[0])
            .args(&runner[1..])
            .arg(std::env::current_exe().expect("this program"))
            .args(["--exact", "talks_without_cover", "--nocapture", "--test-threads=1"])
            .env(NETWORK, network)
            .env(MEAN, mean_secs.to_string())
            .stdout(Stdio::null())
            .spawn()
            .expect("nsenter runs");
        Self(child)
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The body of that process.
pub(crate) fn until_killed() {
    let (Some(network), Ok(mean)) = (std::env::var_os(NETWORK), std::env::var(MEAN)) else {
        return;
    };
    let mean = Duration::from_secs(mean.parse().expect("seconds"));
    xchat_testkit::without_cover(Path::new(&network), mean);
}
