//! What a check's target may send: every reader must end, within its bounds, whatever comes and in whatever pieces.

use ha_probe::readers;
use ha_tests::Fuzz;

fn texts(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

#[test]
fn http_replies_mean_the_same_in_whatever_pieces_they_come() {
    let seeds = texts(&[
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x\r\nabc\r\n0\r\nT: x\r\n\r\n",
        "HTTP/1.0 404 Not Found\r\n\r\nuntil the end",
    ]);
    let words = [
        "\r\n",
        "\r\n\r\n",
        "0\r\n",
        "ffffffffffffffff\r\n",
        "Content-Length: ",
        "chunked",
        "HTTP/1.1 103 x\r\n",
    ];
    let verdict = Fuzz::new("probe_http", seeds).words(&words).run(|octets| {
        let whole = readers::http(octets, octets.len());
        for piece in [1, 3, 64] {
            assert_eq!(readers::http(octets, piece), whole, "in pieces of {piece}");
        }
        whole
    });
    assert!(verdict.answers > 5, "{verdict:?}");
}

#[test]
fn mail_servers_mean_the_same_in_whatever_pieces_they_come() {
    let seeds = texts(&["220 mail\r\n", "250-mail\r\n250-STARTTLS\r\n250 8BITMIME\r\n", "421 x\n"]);
    let words = ["250-", "250 ", "\r\n", "STARTTLS", "220"];
    let verdict = Fuzz::new("probe_smtp", seeds).words(&words).run(|octets| {
        let whole = readers::smtp(octets, octets.len());
        for piece in [1, 5] {
            assert_eq!(readers::smtp(octets, piece), whole, "in pieces of {piece}");
        }
        whole
    });
    assert!(verdict.answers > 5, "{verdict:?}");
}

#[test]
fn name_servers_may_send_anything() {
    let question = readers::dns_question();
    let answer = |code: u8, kind: u8, data: &[u8]| {
        let mut message = question.clone();
        message[2] |= 0x80;
        message[3] = code;
        message[7] = 1;
        message.extend([0xc0, 12, 0, kind, 0, 1, 0, 0, 0, 60, 0, u8::try_from(data.len()).expect("short")]);
        message.extend(data);
        message
    };
    let seeds = [
        answer(0, 1, &[192, 0, 2, 1]),
        answer(0, 5, &[1, b'a', 0xc0, 12]),
        answer(0, 15, &[0, 10, 0xc0, 12]),
        answer(0, 16, &[3, b'a', b'b', b'c']),
        answer(0, 6, &[[0; 22].as_slice()].concat()),
        answer(3, 1, &[]),
        question.clone(),
    ];
    let verdict = Fuzz::new("probe_dns", seeds).run(readers::dns);
    assert!(verdict.answers > 5, "{verdict:?}");
}

#[test]
fn echo_replies_may_be_anything() {
    let reply = |kind: u8| vec![kind, 0, 0, 0, 0, 7, 0, 1, 0, 0, 0, 0];
    let with_header = [&[0x45][..], &[0; 19], &reply(0)].concat();
    let verdict = Fuzz::new("probe_icmp", [reply(0), reply(129), with_header]).run(readers::icmp);
    assert!(verdict.answers > 3, "{verdict:?}");
}

#[test]
fn health_services_may_send_anything() {
    let seeds = [vec![0, 0, 0, 0, 2, 8, 1], vec![0, 0, 0, 0, 4, 0x12, 0, 8, 2], vec![0, 0, 0, 0, 0]];
    let verdict = Fuzz::new("probe_grpc", seeds).run(readers::grpc);
    assert!(verdict.answers > 3, "{verdict:?}");
}

#[test]
fn certificates_may_be_anything() {
    let date = |text: &str| [&[0x17, 13], text.as_bytes()].concat();
    let dates = [date("260101000000Z"), date("270101000000Z")].concat();
    let length = |octets: &[u8]| u8::try_from(octets.len()).expect("short");
    let validity = [&[0x30, length(&dates)], &dates[..]].concat();
    let fields = [&[0xa0, 3, 2, 1, 2, 2, 1, 1, 0x30, 0, 0x30, 0][..], &validity].concat();
    let inner = [&[0x30, length(&fields)], &fields[..]].concat();
    let certificate = [&[0x30, length(&inner)], &inner[..]].concat();
    let verdict = Fuzz::new("probe_certificate", [certificate]).run(readers::certificate);
    assert!(verdict.answers > 2, "{verdict:?}");
}
