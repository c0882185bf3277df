//! One exchange over HTTP/1.1 without TLS, a step at a time: what is said leaves with the handshake's last packet where that
//! needs no waiting, and what comes whole is read with one system call.

use std::io::ErrorKind;
use std::net::SocketAddr;

use super::one::{FIRST_BYTE, REQUEST, hear};
use super::{Answer, Reply, Wanted};
use crate::connect::Connecting;
use crate::course::Course;
use crate::failure::Failure;
use crate::stream;
use crate::target::Origin;

/// Pieces that are read before others have their turn.
const PIECES: usize = 16;

/// An exchange between two steps.
#[derive(Debug)]
pub(crate) struct Plain {
    connecting: Connecting,
    /// The connection stands, and not with itself.
    stands: bool,
    /// Octets of the request that went out.
    said: usize,
    /// Nothing is left to be said.
    only_listens: bool,
    /// Octets that may still come.
    left: u64,
    reply: Reply,
}

/// How far a step came.
pub(super) enum Step {
    Answered(Answer),
    Waits,
    /// There is more.
    Goes,
}

impl Plain {
    /// Opens a connection and says `request` in the same breath where that needs no waiting: on this node and often within a
    /// rack. `most` is what may be read in all.
    pub(super) fn begin(
        address: SocketAddr,
        origin: &Origin,
        request: &[u8],
        (wanted, most): (Wanted, u64),
        course: &mut Course,
    ) -> Result<Self, Failure> {
        let connecting = Connecting::begin_to_speak(address, origin, course)?;
        let said = connecting.say(request)?.unwrap_or(0);
        let only_listens = said == request.len();
        if only_listens {
            course.enter(REQUEST);
            course.enter(FIRST_BYTE);
        }
        let reply = Reply::new(wanted);
        Ok(Self { connecting, stands: false, said, only_listens, left: most, reply })
    }

    pub(crate) fn connecting(&self) -> &Connecting {
        &self.connecting
    }

    pub(crate) fn only_listens(&self) -> bool {
        self.only_listens
    }

    /// Goes as far as it goes without waiting.
    pub(super) fn step(
        &mut self,
        request: &[u8],
        course: &mut Course,
        buffer: &mut [u8],
    ) -> Result<Step, Failure> {
        if !self.only_listens && !self.speak(request, course)? {
            return Ok(Step::Waits);
        }
        let step = self.listen(course, buffer);
        if step.is_err() && !self.stands {
            self.connecting.refuse_itself()?;
        }
        step
    }

    /// Whether everything has been said.
    fn speak(&mut self, request: &[u8], course: &mut Course) -> Result<bool, Failure> {
        if !self.stands {
            if !self.connecting.is_done()? {
                return Ok(false);
            }
            self.stands = true;
            course.enter(REQUEST);
        }
        while let Some(rest) = request.get(self.said..).filter(|rest| !rest.is_empty()) {
            match self.connecting.write(rest) {
                Ok(said) => self.said += said,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(stream::failure(&error, "send the request")),
            }
        }
        self.only_listens = true;
        course.enter(FIRST_BYTE);
        Ok(true)
    }

    fn listen(&mut self, course: &mut Course, buffer: &mut [u8]) -> Result<Step, Failure> {
        let failure = |error| stream::failure(&error, "read the answer");
        for _ in 0..PIECES {
            if self.left == 0 {
                return Err(failure(stream::too_much()));
            }
            let length = match self.connecting.read(buffer) {
                Ok(length) => length,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(Step::Waits),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(failure(error)),
            };
            self.left = self.left.saturating_sub(u64::try_from(length).unwrap_or(u64::MAX));
            hear(&mut self.reply, buffer.get(..length).unwrap_or_default(), course)?;
            if self.reply.is_complete() {
                return Ok(Step::Answered(self.reply.take_answer()));
            }
        }
        Ok(Step::Goes)
    }
}
