//! Compressed text, decompressed piece by piece.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use async_compression::tokio::bufread::GzipDecoder;
use bytes::{Buf, Bytes, BytesMut};
use futures::stream::{self, BoxStream};
use futures::{Stream, StreamExt};
use scrim_engine::{FaultKind, SourceFault};
use tokio::io::{AsyncBufRead, AsyncRead, AsyncReadExt, ReadBuf};

use super::pin::Pinned;

/// Bytes of one decompressed piece.
const PIECE: usize = 256 << 10;

/// A file's bytes, decompressed if its name says that it is compressed.
pub(super) fn pieces(file: &Pinned) -> BoxStream<'static, Result<Bytes, SourceFault>> {
    let pieces = file.pieces();
    let name = file.meta().location.filename().unwrap_or_default();
    if name.to_ascii_lowercase().ends_with(".gz") {
        decompressed(file.clone(), pieces)
    } else {
        pieces
    }
}

fn decompressed(
    file: Pinned,
    pieces: BoxStream<'static, Result<Bytes, SourceFault>>,
) -> BoxStream<'static, Result<Bytes, SourceFault>> {
    let mut decoder = GzipDecoder::new(Pieces {
        rest: pieces,
        piece: Bytes::new(),
    });
    decoder.multiple_members(true);
    let read = stream::try_unfold((decoder, file), |(mut decoder, file)| async move {
        let mut bytes = BytesMut::with_capacity(PIECE);
        match decoder.read_buf(&mut bytes).await {
            Ok(0) => Ok(None),
            Ok(_) => Ok(Some((bytes.freeze(), (decoder, file)))),
            Err(error) => Err(fault(&file, &error)),
        }
    });
    read.boxed()
}

/// A fault of the store comes back as what it was.
fn fault(file: &Pinned, error: &io::Error) -> SourceFault {
    let inner = error
        .get_ref()
        .and_then(|e| e.downcast_ref::<SourceFault>());
    inner.cloned().unwrap_or_else(|| {
        let what = format!("cannot be decompressed: {}", error.kind());
        file.fault(FaultKind::Unavailable, what)
    })
}

/// A stream of pieces as something to read from.
struct Pieces {
    rest: BoxStream<'static, Result<Bytes, SourceFault>>,
    piece: Bytes,
}

impl AsyncBufRead for Pieces {
    fn poll_fill_buf(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        let this = self.get_mut();
        while this.piece.is_empty() {
            match ready!(Pin::new(&mut this.rest).poll_next(context)) {
                Some(Ok(piece)) => this.piece = piece,
                Some(Err(fault)) => return Poll::Ready(Err(io::Error::other(fault))),
                None => break,
            }
        }
        Poll::Ready(Ok(&this.piece))
    }

    fn consume(mut self: Pin<&mut Self>, amount: usize) {
        self.piece.advance(amount);
    }
}

impl AsyncRead for Pieces {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let bytes = ready!(self.as_mut().poll_fill_buf(context))?;
        let amount = bytes.len().min(buffer.remaining());
        buffer.put_slice(bytes.get(..amount).unwrap_or_default());
        self.consume(amount);
        Poll::Ready(Ok(()))
    }
}
