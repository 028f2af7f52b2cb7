//! What a coordinator is doing for one client, phase by phase.
