//! Each kind of check in each situation, in one table.

use crate::{bed::Bed, local, services, table::Table, transport};

#[test]
fn each_kind_tells_each_situation_of_a_real_server_by_its_word() {
    let mut bed = Bed::new();
    let mut table = Table::default();
    bed.at_the_client(async || {
        transport::icmp(&bed, &mut table).await;
        transport::tcp(&bed, &mut table).await;
        transport::tcp_keepalive(&bed, &mut table).await;
        transport::udp(&bed, &mut table).await;
        services::of_every_protocol(&bed, &mut table).await;
        services::wrong_answers(&bed, &mut table).await;
        services::certificates(&bed, &mut table).await;
        services::stopped(&bed, &mut table).await;
        local::files(&bed, &mut table).await;
        local::links_and_routes(&bed, &mut table).await;
        local::scripts(&bed, &mut table).await;
    });
    // Last: nginx does not survive it.
    local::processes(&mut bed, &mut table);
    table.judge();
}
