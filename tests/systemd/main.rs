//! ha-agent under a real systemd, with the unit, the drop-ins and the rule of deploy/systemd, installed as the README says: what
//! operators do and what befalls them. Each test boots a machine of its own (see `machine`).
//!
//! `tests/run --systemd` runs them. They are no part of `tests/run` alone, because a machine inside a machine needs more than
//! namespaces: overlayfs, control groups of version 2, and Debian 12's packages in `packages.txt`.

mod boot;
mod commands;
mod life;
mod machine;
mod shutdown;
