//! The frames that wait for one connection, bounded in bytes. Whoever does not read is closed and catches up later; nobody
//! else waits for it.

use crate::core::FrameClass;
use bytes::Bytes;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::mpsc;

/// Bytes that wait for one connection before it is closed. More than the pages and pushes that a client which reads
/// can have coming.
pub const WAITING_BYTES_MAX: usize = 16 * 1024 * 1024;
/// What a frame is counted for besides its own bytes, so that small ones are bounded too.
const FRAME_COST: usize = 128;

/// A frame on its way out.
pub(super) struct Waiting {
    pub(super) frame: Bytes,
    pub(super) class: FrameClass,
}

/// The core's end.
pub(super) struct QueueSender {
    sender: mpsc::UnboundedSender<Waiting>,
    bytes: Arc<AtomicUsize>,
}

/// The connection's end.
pub(super) struct QueueReceiver {
    receiver: mpsc::UnboundedReceiver<Waiting>,
    bytes: Arc<AtomicUsize>,
}

/// More waits than may; or the connection is gone.
pub(super) struct Overflow {
    pub(super) bytes: usize,
}

pub(super) fn queue() -> (QueueSender, QueueReceiver) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let bytes = Arc::new(AtomicUsize::new(0));
    (QueueSender { sender, bytes: Arc::clone(&bytes) }, QueueReceiver { receiver, bytes })
}

impl QueueSender {
    pub(super) fn send(&self, frame: Bytes, class: FrameClass) -> Result<(), Overflow> {
        let cost = frame.len().saturating_add(FRAME_COST);
        let bytes = self.bytes.fetch_add(cost, Ordering::Relaxed).saturating_add(cost);
        if bytes > WAITING_BYTES_MAX {
            return Err(Overflow { bytes });
        }
        // A connection that is gone tells the core by itself.
        let _ = self.sender.send(Waiting { frame, class });
        Ok(())
    }
}

impl QueueReceiver {
    pub(super) async fn recv(&mut self) -> Option<Waiting> {
        let waiting = self.receiver.recv().await?;
        self.took(&waiting);
        Some(waiting)
    }

    pub(super) fn try_recv(&mut self) -> Option<Waiting> {
        let waiting = self.receiver.try_recv().ok()?;
        self.took(&waiting);
        Some(waiting)
    }

    fn took(&self, waiting: &Waiting) {
        self.bytes.fetch_sub(waiting.frame.len().saturating_add(FRAME_COST), Ordering::Relaxed);
    }
}
