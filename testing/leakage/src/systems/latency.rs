//! How long a frame is on its way, the same for every system: links of the internet, without loss.

use crate::dice::Dice;

/// One-way times in seconds.
#[derive(Debug, Clone)]
pub(crate) struct Latency {
    access: Vec<f64>,
    nodes: Vec<f64>,
}

/// Mean of what comes and goes on top of a path's own time.
const JITTER: f64 = 0.002;

/// From a client over three mixes to a store: access, four node links and their jitter, as most are.
pub(crate) const WAY: (f64, f64) = (0.07, 0.24);

impl Latency {
    /// Access links of 4 to 40 ms, nodes 3 to 25 ms from the middle of the net.
    pub(crate) fn new(clients: u32, nodes: usize, dice: &mut Dice) -> Self {
        let access = (0..clients).map(|_| dice.between(0.004, 0.040)).collect();
        let nodes = (0..nodes).map(|_| dice.between(0.003, 0.025)).collect();
        Self { access, nodes }
    }

    /// Between a client and a node, either way.
    pub(crate) fn access(&self, client: u32, node: u16, dice: &mut Dice) -> f64 {
        self.access[client as usize] + self.nodes[usize::from(node)] + dice.exponential(JITTER)
    }

    /// Between two nodes.
    pub(crate) fn across(&self, from: u16, to: u16, dice: &mut Dice) -> f64 {
        self.nodes[usize::from(from)] + self.nodes[usize::from(to)] + dice.exponential(JITTER)
    }
}
