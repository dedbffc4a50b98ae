//! A proxy before any server that speaks TCP, which delays, cuts, corrupts, refuses and stalls.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::background::Background;

/// Bytes that are passed on at once.
const CHUNK: usize = 16 * 1024;

/// What the proxy does to what the server sends. Bytes are counted over all connections, from the
/// moment that the fault is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Passes everything on.
    None,
    /// Passes everything on, but each piece so much later.
    Delay(Duration),
    /// Closes every connection once so many bytes have passed.
    Cut(u64),
    /// Passes nothing on, in either direction, once so many bytes have passed.
    Stall(u64),
    /// Changes the byte at this place.
    Corrupt(u64),
}

/// A proxy on a free port of loopback.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    background: Mutex<Option<Background>>,
}

#[derive(Debug)]
struct Shared {
    target: SocketAddr,
    fault: watch::Sender<Fault>,
    passed: AtomicU64,
    open: AtomicUsize,
}

impl Proxy {
    /// Passes on to a server.
    ///
    /// # Errors
    /// When there is no port.
    pub fn start(target: SocketAddr) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            target,
            fault: watch::Sender::new(Fault::None),
            passed: AtomicU64::new(0),
            open: AtomicUsize::new(0),
        });
        let background = listen((Ipv4Addr::LOCALHOST, 0).into(), &shared)?;
        Ok(Self {
            address: background.address(),
            shared,
            background: Mutex::new(Some(background)),
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Sets what is to go wrong from now on.
    pub fn set(&self, fault: Fault) {
        self.shared.passed.store(0, Ordering::SeqCst);
        self.shared.fault.send_replace(fault);
    }

    /// Closes all connections, and lets no new one in.
    pub fn refuse(&self) {
        drop(self.slot().take());
    }

    /// Lets connections in again, at the same address, and passes everything on.
    ///
    /// # Panics
    /// If the port was taken meanwhile.
    pub fn heal(&self) {
        self.set(Fault::None);
        let mut slot = self.slot();
        if slot.is_none() {
            *slot = Some(listen(self.address, &self.shared).expect("the port is still free"));
        }
    }

    /// Bytes that the server sent and that were passed on since a fault was set last.
    pub fn passed(&self) -> u64 {
        self.shared.passed.load(Ordering::SeqCst)
    }

    /// Connections that are open now.
    pub fn open(&self) -> usize {
        self.shared.open.load(Ordering::SeqCst)
    }

    fn slot(&self) -> std::sync::MutexGuard<'_, Option<Background>> {
        self.background
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

fn listen(address: SocketAddr, shared: &Arc<Shared>) -> io::Result<Background> {
    let shared = Arc::clone(shared);
    Background::start(address, |listener| serve(listener, shared))
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    // Dropped with this future, and all connections with it.
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        connections.spawn(connection(client, Arc::clone(&shared)));
        while connections.try_join_next().is_some() {}
    }
}

/// Counts a connection as long as it is open.
struct Counted<'a>(&'a AtomicUsize);

impl<'a> Counted<'a> {
    fn new(open: &'a AtomicUsize) -> Self {
        open.fetch_add(1, Ordering::SeqCst);
        Self(open)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

async fn connection(client: TcpStream, shared: Arc<Shared>) {
    let _counted = Counted::new(&shared.open);
    let Ok(server) = TcpStream::connect(shared.target).await else {
        return;
    };
    drop((client.set_nodelay(true), server.set_nodelay(true)));
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    // Either end closes both.
    tokio::select! {
        _ = upwards(from_client, to_server, &shared) => {}
        _ = downwards(from_server, to_client, &shared) => {}
    }
}

async fn upwards(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    shared: &Shared,
) -> io::Result<()> {
    let mut bytes = vec![0; CHUNK];
    loop {
        let length = from.read(&mut bytes).await?;
        let Some(piece) = bytes.get(..length).filter(|piece| !piece.is_empty()) else {
            return Ok(());
        };
        shared.while_stalled().await;
        to.write_all(piece).await?;
    }
}

async fn downwards(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    shared: &Shared,
) -> io::Result<()> {
    let mut bytes = vec![0; CHUNK];
    loop {
        let length = from.read(&mut bytes).await?;
        let Some(mut piece) = bytes.get_mut(..length).filter(|piece| !piece.is_empty()) else {
            return Ok(());
        };
        while !piece.is_empty() {
            let fault = *shared.fault.borrow();
            let passed = shared.passed.load(Ordering::SeqCst);
            let mut now = piece.len();
            match fault {
                Fault::None => {}
                Fault::Delay(by) => tokio::time::sleep(by).await,
                Fault::Cut(after) | Fault::Stall(after) => {
                    now = now.min(usize::try_from(after.saturating_sub(passed)).unwrap_or(now));
                }
                Fault::Corrupt(at) => {
                    let place = at
                        .checked_sub(passed)
                        .and_then(|at| usize::try_from(at).ok());
                    if let Some(byte) = place.and_then(|place| piece.get_mut(place)) {
                        *byte = !*byte;
                    }
                }
            }
            if now == 0 && matches!(fault, Fault::Cut(_)) {
                return Ok(());
            }
            if now == 0 {
                shared.while_stalled().await;
                continue;
            }
            let (head, rest) = piece.split_at_mut(now);
            to.write_all(head).await?;
            shared.passed.fetch_add(now as u64, Ordering::SeqCst);
            piece = rest;
        }
    }
}

impl Shared {
    /// Waits while the fault is a stall whose bytes have passed.
    async fn while_stalled(&self) {
        let mut fault = self.fault.subscribe();
        let flows = |fault: &Fault| match fault {
            Fault::Stall(after) => self.passed.load(Ordering::SeqCst) < *after,
            Fault::None | Fault::Delay(_) | Fault::Cut(_) | Fault::Corrupt(_) => true,
        };
        drop(fault.wait_for(flows).await);
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::timeout;

    use super::*;

    /// A server that sends a million bytes to whoever says something, again and again.
    fn generous() -> Background {
        let serve = |listener: TcpListener| async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let mut word = [0];
                    while stream.read_exact(&mut word).await.is_ok() {
                        if stream.write_all(&vec![7; 1_000_000]).await.is_err() {
                            return;
                        }
                    }
                });
            }
        };
        Background::start((Ipv4Addr::LOCALHOST, 0).into(), serve).unwrap()
    }

    async fn million(stream: &mut TcpStream) -> Vec<u8> {
        let mut bytes = vec![0; 1_000_000];
        stream.write_all(&[1]).await.unwrap();
        let mut length = 0;
        while length < bytes.len() {
            match stream.read(&mut bytes[length..]).await {
                Ok(0) | Err(_) => break,
                Ok(more) => length += more,
            }
        }
        bytes.truncate(length);
        bytes
    }

    #[tokio::test]
    async fn a_proxy_passes_on_and_spoils() {
        let server = generous();
        let proxy = Proxy::start(server.address()).unwrap();
        let connect = || TcpStream::connect(proxy.address());
        let mut stream = connect().await.unwrap();
        assert_eq!(million(&mut stream).await, vec![7; 1_000_000]);
        assert_eq!((proxy.passed(), proxy.open()), (1_000_000, 1));
        proxy.set(Fault::Corrupt(20_000));
        let bytes = million(&mut stream).await;
        assert_eq!((bytes[19_999], bytes[20_000], bytes[20_001]), (7, !7, 7));
        proxy.set(Fault::Cut(123_456));
        assert_eq!(million(&mut stream).await.len(), 123_456);
        proxy.set(Fault::Stall(10));
        let mut stream = connect().await.unwrap();
        let (bytes, ()) = tokio::join!(million(&mut stream), async {
            // The server is not heard again before the proxy is healed.
            timeout(Duration::from_millis(50), std::future::pending::<()>())
                .await
                .unwrap_err();
            assert_eq!(proxy.passed(), 10);
            proxy.heal();
        });
        assert_eq!(bytes.len(), 1_000_000);
        proxy.refuse();
        assert_eq!(million(&mut stream).await.len(), 0);
        assert!(connect().await.is_err());
        proxy.heal();
        assert_eq!(
            million(&mut connect().await.unwrap()).await.len(),
            1_000_000
        );
    }
}
