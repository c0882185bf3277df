//! Responses as texts: good, broken, endless; whole and octet by octet.

use proptest::prelude::*;

use super::*;

const BODY: Wanted = Wanted { body: true, limit: 20, is_head: false };

/// Takes `text` in pieces of `piece` octets and then the end of the connection.
fn read(text: &[u8], piece: usize, wanted: Wanted) -> Result<Answer, Offence> {
    let mut reply = Reply::new(wanted);
    for piece in text.chunks(piece.max(1)) {
        reply.take(piece)?;
        if reply.is_complete() {
            return Ok(reply.take_answer());
        }
    }
    reply.end().map(|()| reply.take_answer())
}

fn answer(status: u16, body: &str, is_cut: bool) -> Result<Answer, Offence> {
    Ok(Answer { status, body: body.as_bytes().to_vec(), is_cut })
}

#[test]
fn a_response_means_the_same_in_whatever_pieces_it_comes() {
    let cases = [
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", answer(200, "hello", false)),
        ("HTTP/1.1 200\nContent-Length: 5\n\nhello, more", answer(200, "hello", false)),
        ("HTTP/1.0 404 Not Found\r\n\r\nuntil the end", answer(404, "until the end", false)),
        ("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\nx", answer(200, "", false)),
        ("HTTP/1.1 204 No\r\nContent-Length: 5\r\n\r\nhello", answer(204, "", false)),
        ("HTTP/1.1 101 Switching\r\n\r\n", answer(101, "", false)),
        (
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\n\r\nhi",
            answer(200, "hi", false),
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, Chunked\r\nContent-Length: 3\r\n\r\n3;a=\"b\"\r\nabc\r\n0a\r\n0123456789\r\n0\r\nT: x\r\n\r\nrest",
            answer(200, "abc0123456789", false),
        ),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\nab\n0\n\n", answer(200, "ab", false)),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nab", answer(200, "ab", false)),
        ("HTTP/1.1 200 OK\r\n\r\n0123456789012345678901234", answer(200, "01234567890123456789", true)),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n01234567890123456789",
            answer(200, "01234567890123456789", false),
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 999999999\r\n\r\n012345678901234567890",
            answer(200, "01234567890123456789", true),
        ),
        ("SSH-2.0-OpenSSH_9.2\r\n", Err(Offence::NotHttp)),
        ("HTTP/2 200\r\n\r\n", Err(Offence::NotHttp)),
        ("HTTP/1.1 xyz\r\n\r\n", Err(Offence::BadHead)),
        ("HTTP/1.1 200 OK\r\nno colon\r\n\r\n", Err(Offence::BadHead)),
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello", Err(Offence::BadHead)),
        ("HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nhello", Err(Offence::BadHead)),
        ("HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\nhello", Err(Offence::BadHead)),
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell", Err(Offence::Incomplete)),
        ("HTTP/1.1 200 OK\r\n", Err(Offence::Incomplete)),
        ("", Err(Offence::Incomplete)),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", Err(Offence::BadChunk)),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\r\n", Err(Offence::BadChunk)),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n", Err(Offence::BadChunk)),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n",
            Err(Offence::BadChunk),
        ),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n", Err(Offence::Incomplete)),
    ];
    for (text, expected) in cases {
        for piece in [1, 2, 3, 7, usize::MAX] {
            assert_eq!(read(text.as_bytes(), piece.min(text.len()), BODY), expected, "{text:?} by {piece}");
        }
    }
}

#[test]
fn a_head_is_enough_when_nobody_wants_the_body() {
    let text = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n";
    for wanted in [Wanted { body: false, ..BODY }, Wanted { is_head: true, ..BODY }] {
        let mut reply = Reply::new(wanted);
        reply.take(text).unwrap();
        assert!(reply.is_complete());
    }
}

#[test]
fn endless_heads_and_endless_interim_responses_have_an_end() {
    let mut headers = Reply::new(BODY);
    let mut taken = headers.take(b"HTTP/1.1 200 OK\r\n");
    let mut octets = 0;
    while taken.is_ok() {
        taken = headers.take(b"x-header: and so on\r\n");
        octets += 21;
    }
    assert_eq!(taken, Err(Offence::LongHead));
    assert!(octets < 2 * LONGEST_HEAD, "{octets}");

    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "a: b\r\n".repeat(MOST_HEADERS + 1));
    assert_eq!(read(many.as_bytes(), 4096, BODY), Err(Offence::LongHead));
    let interim = "HTTP/1.1 100 Continue\r\n\r\n".repeat(20);
    assert_eq!(read(interim.as_bytes(), 4096, BODY), Err(Offence::TooManyInterim));
}

#[test]
fn an_endless_trailer_keeps_nothing() {
    let mut reply = Reply::new(BODY);
    reply.take(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n").unwrap();
    for _ in 0..1000 {
        reply.take(b"x-trailer: and so on\r\n").unwrap();
    }
    assert!(reply.head.capacity() == 0 && reply.answer.body.is_empty());
    reply.take(b"\r\n").unwrap();
    assert!(reply.is_complete());
}

/// What responses are made of.
const PARTS: &[&[u8]] = &[
    b"HTTP/1.1 200 OK\r\n",
    b"HTTP/1.1 100 C\r\n\r\n",
    b"Content-Length: 7\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"\r\n",
    b"\n",
    b"3\r\n",
    b"0\r\n",
    b"abc",
    b";",
];

proptest! {
    #[test]
    fn whatever_comes_is_bounded_and_does_not_depend_on_its_pieces(
        text in proptest::collection::vec(proptest::sample::select(PARTS), 0..20),
        piece in 1..40usize,
    ) {
        let text = text.concat();
        let whole = read(&text, text.len(), BODY);
        prop_assert_eq!(read(&text, piece, BODY), whole.clone());
        if let Ok(answer) = whole {
            prop_assert!(answer.body.len() <= BODY.limit);
        }
    }
}
