//! Puts a peer's report together from what arrives, within bounds.

use std::collections::BTreeMap;
use std::sync::Arc;

use ha_proto::v1;

use super::view::Names;
use super::{Report, Router, wire};
use crate::clock;

/// The most virtual routers of a peer: as many as a configuration may have.
const MOST_ROUTERS: usize = 16_384;

/// The most virtual addresses of all of them.
const MOST_ADDRESSES: usize = 65_536;

/// A report that grows.
#[derive(Debug)]
pub(super) struct Builder {
    incarnation: Arc<str>,
    version: Arc<str>,
    config_digest: Arc<str>,
    routers: BTreeMap<Arc<str>, Arc<Router>>,
    names: Arc<Names>,
    addresses: usize,
}

impl Builder {
    /// Of a peer that has introduced itself.
    pub(super) fn new(opened: &v1::PeerOpened) -> Self {
        Self {
            incarnation: wire::cut(&opened.incarnation_id),
            version: wire::cut(&opened.version),
            config_digest: "".into(),
            routers: BTreeMap::new(),
            names: Arc::default(),
            addresses: 0,
        }
    }

    /// Takes a part over; the whole when it is whole.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn add(&mut self, part: v1::PeerReport) -> Result<Option<Report>, String> {
        let now = clock::now();
        for router in part.routers {
            self.put(wire::router_from_wire(router, now)?)?;
        }
        for name in &part.removed_routers {
            if let Some(gone) = self.routers.remove(name.as_str()) {
                self.forget(&gone);
            }
        }
        if !part.complete {
            return Ok(None);
        }
        self.config_digest = wire::cut(&part.config_digest);
        Ok(Some(Report {
            incarnation: Arc::clone(&self.incarnation),
            version: Arc::clone(&self.version),
            config_digest: Arc::clone(&self.config_digest),
            routers: self.routers.clone(),
            names: Arc::clone(&self.names),
        }))
    }

    fn forget(&mut self, gone: &Router) {
        self.addresses = self.addresses.saturating_sub(gone.key.addresses.len());
        Arc::make_mut(&mut self.names).remove(&(gone.key.clone(), Arc::clone(&gone.name)));
    }

    fn put(&mut self, router: Router) -> Result<(), String> {
        let router = Arc::new(router);
        let before = self.routers.insert(Arc::clone(&router.name), Arc::clone(&router));
        // Most news is of a router that is what it was.
        if before.as_ref().is_none_or(|before| before.key != router.key) {
            before.iter().for_each(|before| self.forget(before));
            self.addresses += router.key.addresses.len();
            Arc::make_mut(&mut self.names).insert((router.key.clone(), Arc::clone(&router.name)));
        }
        if self.routers.len() > MOST_ROUTERS || self.addresses > MOST_ADDRESSES {
            return Err(format!("it reports more than {MOST_ROUTERS} routers or {MOST_ADDRESSES} addresses"));
        }
        Ok(())
    }
}
