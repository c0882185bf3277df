//! `VipService`: the virtual addresses that the node may hold, as wanted and as the kernel has them.

use std::sync::Arc;

use ha_engine::{InstanceStatus, VirtualAddress};
use ha_proto::v1;
use ha_proto::v1::vip_service_server::VipService;
use tonic::{Request, Response, Status, async_trait};

use super::page::Page;
use super::shared::Shared;
use super::snapshots::View;
use super::tokens;

/// The service.
#[derive(Clone)]
pub(crate) struct Vips {
    pub(crate) shared: Arc<Shared>,
}

/// What the page tokens of this listing begin with.
const PAGE_KIND: &str = "vips";

#[async_trait]
impl VipService for Vips {
    async fn list_vips(
        &self,
        request: Request<v1::ListVipsRequest>,
    ) -> Result<Response<v1::ListVipsResponse>, Status> {
        let request = request.into_inner();
        self.shared.names.check_node(&request.parent)?;
        let after = tokens::page_start(PAGE_KIND, &request.page_token)?;
        let mut page = Page::new(request.page_size)?;
        let view = self.shared.snapshots.view().await?;
        let mut next_page_token = String::new();
        for (name, status, address) in sorted(&self.shared, &view) {
            if after.is_some_and(|after| name.as_str() <= after) {
                continue;
            }
            if page.is_full() {
                let last = page.last().map(|vip: &v1::Vip| vip.name.as_str()).unwrap_or_default();
                next_page_token = tokens::page_after(PAGE_KIND, last);
                break;
            }
            page.push(vip(&self.shared, &view, status, address));
        }
        Ok(Response::new(v1::ListVipsResponse { vips: page.into_entries(), next_page_token }))
    }
}

/// An address as it stands.
pub(crate) fn vip(
    shared: &Shared,
    view: &View,
    status: &InstanceStatus,
    address: &VirtualAddress,
) -> v1::Vip {
    let kernel = (shared.options.kernel)(&status.config.interface, address.address);
    shared.context(view).vip(status, address, kernel.as_ref())
}

fn sorted<'a>(shared: &Shared, view: &'a View) -> Vec<(String, &'a InstanceStatus, &'a VirtualAddress)> {
    let mut vips: Vec<_> = view
        .snapshot
        .instances
        .iter()
        .flat_map(|status| status.config.addresses.iter().map(move |address| (status, address)))
        .map(|(status, address)| (shared.names.vip(address.address), status, address))
        .collect();
    vips.sort_by(|a, b| a.0.cmp(&b.0));
    vips
}
