//! A real PostgreSQL server on a free port of loopback, and databases in it that come and go.
//!
//! `$SCRIM_TEST_POSTGRES` (host:port) names a server that runs already, and
//! `$SCRIM_TEST_POSTGRES_CA` the certificate of its authority; `cargo x test` starts one for all
//! tests. Otherwise one is started, from the system's package. Whatever becomes of the process that
//! started it, the server ends with it: a shell waits at the other end of a pipe.

use std::fs;
use std::future::Future;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use arrow::array::RecordBatch;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, SanType, date_time_ymd,
};
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};
use uuid::Uuid;

use crate::load;

/// The role that may read every table of a [`Database`] and has to say [`PASSWORD`].
pub const READER: &str = "reader";

/// The password of [`READER`].
pub const PASSWORD: &str = "correct-horse-7391";

/// Where a server runs.
const SERVER: &str = "SCRIM_TEST_POSTGRES";
/// The certificate of the authority that it shows itself with.
const AUTHORITY: &str = "SCRIM_TEST_POSTGRES_CA";

/// Root may not run PostgreSQL, so this account does.
const ACCOUNT: &str = "pgtest";

/// What the shell does: it makes a cluster, starts the server, says so, and waits for the pipe to
/// close. `$1` is the folder of programs, `$2` the cluster's, `$3` the port.
const SCRIPT: &str = r#"
exec 2>"$2/log"
"$1/initdb" -D "$2/data" -U postgres -A trust --no-sync -E UTF8 --locale=C.UTF-8 \
    --locale-provider=icu --icu-locale=en-US >&2 &&
cat "$2/pg_hba.conf" >"$2/data/pg_hba.conf" &&
cat "$2/settings" >>"$2/data/postgresql.conf" &&
"$1/pg_ctl" -D "$2/data" -w -t 60 -l "$2/log" -o "-p $3" start >&2 &&
echo ready || { echo failed; cat "$2/log"; }
exec >&2
cat >/dev/null
"$1/pg_ctl" -D "$2/data" -m immediate stop
rm -rf "$2"
"#;

/// Nobody comes in over a socket of the file system; on loopback the superuser is trusted, and
/// everybody else has a password.
const PG_HBA: &str = "\
host all postgres 127.0.0.1/32 trust
host all all 127.0.0.1/32 scram-sha-256
";

/// Nothing of a test has to outlive a crash of the machine; but what is committed outlives
/// [`Postgres::crash`]. The order of texts is not that of their bytes, and the time zone not UTC, so
/// that nothing can rely on either.
const SETTINGS: &str = "
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
fsync = off
full_page_writes = off
max_connections = 200
password_encryption = 'scram-sha-256'
timezone = 'Asia/Kolkata'
ssl = on
ssl_cert_file = '../server.pem'
ssl_key_file = '../server.key'
";

/// A server.
#[derive(Debug)]
pub struct Postgres {
    port: u16,
    authority: Option<PathBuf>,
    cluster: Option<Cluster>,
}

/// The server that this process started.
#[derive(Debug)]
struct Cluster {
    programs: PathBuf,
    folder: PathBuf,
    shell: Child,
    /// Closing it ends the server.
    pipe: Option<ChildStdin>,
}

impl Postgres {
    /// The server that all tests of the process share; `$SCRIM_TEST_POSTGRES` if it is set.
    ///
    /// # Panics
    /// If there is no PostgreSQL on this machine, or it does not start.
    pub fn shared() -> Arc<Self> {
        static SHARED: Mutex<Weak<Postgres>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(server) = shared.upgrade() {
            return server;
        }
        let server = Self::given().unwrap_or_else(Self::start);
        *shared = Arc::downgrade(&server);
        server
    }

    /// The server that the environment names.
    fn given() -> Option<Arc<Self>> {
        let address = std::env::var_os(SERVER)?.into_string().ok()?;
        let port = address
            .strip_prefix("127.0.0.1:")
            .or_else(|| address.strip_prefix("localhost:"))
            .and_then(|port| port.parse().ok());
        let port = port.unwrap_or_else(|| panic!("${SERVER} is `{address}`, not `127.0.0.1:5432`"));
        Some(Arc::new(Self {
            port,
            authority: std::env::var_os(AUTHORITY).map(PathBuf::from),
            cluster: None,
        }))
    }

    /// A server of one's own, for tests that stop it.
    ///
    /// # Panics
    /// If there is no PostgreSQL on this machine, or it does not start.
    pub fn start() -> Arc<Self> {
        let cluster = Cluster::start().unwrap_or_else(|e| panic!("PostgreSQL does not start: {e}"));
        let (port, cluster) = cluster;
        Arc::new(Self {
            port,
            authority: Some(cluster.folder.join("authority.pem")),
            cluster: Some(cluster),
        })
    }

    /// The port on 127.0.0.1; the certificate is for `localhost` alone.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The certificate of the authority that issued the server's certificate, PEM.
    ///
    /// # Panics
    /// If the environment names a server and not its authority.
    pub fn authority(&self) -> &Path {
        let authority = self.authority.as_deref();
        authority.unwrap_or_else(|| panic!("${AUTHORITY} must say who vouches for ${SERVER}"))
    }

    /// What another process needs in its environment to use this server.
    pub fn environment(&self) -> [(&'static str, String); 2] {
        [
            (SERVER, format!("127.0.0.1:{}", self.port)),
            (AUTHORITY, self.authority().display().to_string()),
        ]
    }

    /// Ends the server as a power cut would.
    ///
    /// # Panics
    /// If this process did not start it.
    pub fn crash(&self) {
        self.control(&["-m", "immediate", "stop"]);
    }

    /// Starts the server again, on the same port.
    ///
    /// # Panics
    /// If this process did not start it, or it does not start.
    pub fn resume(&self) {
        let port = format!("-p {}", self.port);
        self.control(&["-t", "60", "-o", &port, "-l", "../log", "start"]);
    }

    fn control(&self, words: &[&str]) {
        let Some(cluster) = &self.cluster else {
            panic!("a server that others use is not stopped; take `Postgres::start()`");
        };
        let data = cluster.folder.join("data");
        let mut command = unprivileged(&cluster.programs.join("pg_ctl"));
        command.arg("-D").arg(&data).arg("-w").args(words);
        command.current_dir(&data).stdin(Stdio::null());
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let status = command.status();
        assert!(
            status.is_ok_and(|status| status.success()),
            "pg_ctl {words:?} failed; see {}",
            cluster.folder.join("log").display()
        );
    }

    /// A new, empty database, which goes away with the value.
    ///
    /// # Panics
    /// If the server does not make one.
    pub fn database(self: &Arc<Self>) -> Database {
        let database = Database {
            server: Arc::clone(self),
            name: format!("test_{}", Uuid::new_v4().simple()),
        };
        let name = &database.name;
        // Tests of several processes may be first at the same time.
        let role = format!(
            "DO $$ BEGIN CREATE ROLE {READER} LOGIN PASSWORD '{PASSWORD}'; \
             EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$"
        );
        let grants = format!(
            "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO {READER};
             ALTER DEFAULT PRIVILEGES GRANT USAGE ON SCHEMAS TO {READER}"
        );
        let made = block(async {
            let client = connect(self.port, "postgres").await?;
            client.batch_execute(&role).await?;
            let create = format!("CREATE DATABASE {name} TEMPLATE template0");
            client.batch_execute(&create).await?;
            connect(self.port, name).await?.batch_execute(&grants).await
        });
        made.unwrap_or_else(|e| panic!("no database {name}: {e}"));
        database
    }
}

impl Cluster {
    fn start() -> io::Result<(u16, Self)> {
        let programs = programs()?;
        let mut said = String::new();
        // Between the choice of a port and the start somebody else may take it.
        for _ in 0..3 {
            match Self::attempt(&programs)? {
                Ok(started) => return Ok(started),
                Err(log) => said = log,
            }
        }
        Err(io::Error::other(said))
    }

    /// Starts one, or gives back what it logged.
    fn attempt(programs: &Path) -> io::Result<Result<(u16, Self), String>> {
        // From here on the folder is the shell's to remove.
        let folder = tempfile::Builder::new().prefix("scrim-pg-").tempdir()?;
        let folder = folder.keep();
        make_certificates(&folder)?;
        fs::write(folder.join("pg_hba.conf"), PG_HBA)?;
        fs::write(folder.join("settings"), SETTINGS)?;
        hand_over(&folder)?;
        let port = free_port()?;
        let mut shell = unprivileged(Path::new("sh"))
            .args(["-c", SCRIPT, "sh"])
            .args([programs, &folder])
            .arg(port.to_string())
            .current_dir(&folder)
            .env("LC_ALL", "C")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            // An interrupt at the terminal must not end the shell before us.
            .process_group(0)
            .spawn()?;
        let stdout = shell.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
        let cluster = Self {
            programs: programs.to_owned(),
            folder,
            pipe: shell.stdin.take(),
            shell,
        };
        let mut lines = BufReader::new(stdout);
        let mut said = String::new();
        lines.read_line(&mut said)?;
        if said.trim() == "ready" {
            return Ok(Ok((port, cluster)));
        }
        lines.read_to_string(&mut said)?;
        Ok(Err(said))
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        drop(self.pipe.take());
        drop(self.shell.wait());
    }
}

/// The folder of PostgreSQL's programs: the newest of Debian's, or where the path has them.
fn programs() -> io::Result<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten();
    let mut folders: Vec<_> = versions
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse::<u32>().ok()?, entry)))
        .map(|(version, entry)| (version, entry.path().join("bin")))
        .filter(|(_, folder)| folder.join("initdb").exists())
        .collect();
    folders.sort();
    if let Some((_, folder)) = folders.pop() {
        return Ok(folder);
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .find(|folder| folder.join("initdb").exists())
        .ok_or_else(|| {
            io::Error::other(
                "there is no PostgreSQL on this machine; `cargo x test` installs it, or name a \
                 server by $SCRIM_TEST_POSTGRES",
            )
        })
}

/// A port that nobody listens on now.
fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?
        .local_addr()?
        .port())
}

fn is_root() -> bool {
    id(&["-u"]).is_ok_and(|id| id == 0)
}

fn id(words: &[&str]) -> io::Result<u32> {
    let output = Command::new("id").args(words).output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    text.trim().parse().map_err(io::Error::other)
}

/// A command that runs without root's rights.
fn unprivileged(program: &Path) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command
        .arg(format!("--reuid={ACCOUNT}"))
        .arg(format!("--regid={ACCOUNT}"))
        .arg("--clear-groups")
        .arg(program);
    command
}

/// Gives the folder to the account that runs the server, and makes that account first.
fn hand_over(folder: &Path) -> io::Result<()> {
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755))?;
    if !is_root() {
        return Ok(());
    }
    if id(&["-u", ACCOUNT]).is_err() {
        let made = Command::new("useradd")
            .args(["--system", "--user-group", ACCOUNT])
            .output()?;
        // Another process may have been faster.
        id(&["-u", ACCOUNT])
            .map_err(|_| io::Error::other(String::from_utf8_lossy(&made.stderr).into_owned()))?;
    }
    let (user, group) = (id(&["-u", ACCOUNT])?, id(&["-g", ACCOUNT])?);
    for entry in fs::read_dir(folder)? {
        chown(entry?.path(), Some(user), Some(group))?;
    }
    chown(folder, Some(user), Some(group))
}

/// An authority, and by it a certificate for `localhost`.
fn make_certificates(folder: &Path) -> io::Result<()> {
    let params = |name: &str| {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2090, 1, 1);
        params
    };
    let mut authority = params("the test database's authority");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().map_err(io::Error::other)?;
    let certificate = authority.self_signed(&key).map_err(io::Error::other)?;
    fs::write(folder.join("authority.pem"), certificate.pem())?;
    let issuer = Issuer::new(authority, key);
    let mut server = params("localhost");
    let name = "localhost".try_into().map_err(io::Error::other)?;
    server.subject_alt_names = vec![SanType::DnsName(name)];
    let key = KeyPair::generate().map_err(io::Error::other)?;
    let certificate = server.signed_by(&key, &issuer).map_err(io::Error::other)?;
    fs::write(folder.join("server.pem"), certificate.pem())?;
    let mut options = fs::OpenOptions::new();
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options
        .write(true)
        .create_new(true)
        .open(folder.join("server.key"))?;
    file.write_all(key.serialize_pem().as_bytes())
}

/// A database of one test. Its owner is the superuser; [`READER`] may read what is made in it.
#[derive(Debug)]
pub struct Database {
    server: Arc<Postgres>,
    name: String,
}

impl Database {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The server that it is in.
    pub fn server(&self) -> &Arc<Postgres> {
        &self.server
    }

    /// Runs statements as the superuser, and waits for them.
    ///
    /// # Panics
    /// If one fails.
    pub fn execute(&self, sql: &str) {
        let done = block(async { self.connect().await?.batch_execute(sql).await });
        done.unwrap_or_else(|e| panic!("{sql}: {}", explained(&e)));
    }

    /// The first value that a query of the superuser's gives, as text; `None` for NULL and for no row.
    ///
    /// # Panics
    /// If it fails.
    pub fn value(&self, sql: &str) -> Option<String> {
        let done = block(async { self.connect().await?.simple_query(sql).await });
        let messages = done.unwrap_or_else(|e| panic!("{sql}: {}", explained(&e)));
        messages.into_iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
            _ => None,
        })
    }

    /// Makes a table of batches and waits for it; `table` may have a schema before its name. See
    /// [`load::declaration`] for the types.
    ///
    /// # Panics
    /// If there is a type or a value that PostgreSQL does not have.
    pub fn load(&self, table: &str, batches: &[RecordBatch]) {
        let done = block(async {
            let client = self.connect().await?;
            load::into_postgres(&client, table, batches).await
        });
        done.unwrap_or_else(|e| panic!("{table}: {}", explained(&e)));
    }

    /// A connection of the superuser's, served by the runtime of whoever calls.
    ///
    /// # Panics
    /// If there is none.
    pub async fn client(&self) -> Client {
        let client = self.connect().await;
        client.unwrap_or_else(|e| panic!("no connection to {}: {}", self.name, explained(&e)))
    }

    async fn connect(&self) -> Result<Client, tokio_postgres::Error> {
        connect(self.server.port, &self.name).await
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let drop = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name);
        // The server may be gone already, and the database with it.
        let _gone = block(async {
            let client = connect(self.server.port, "postgres").await?;
            client.batch_execute(&drop).await
        });
    }
}

fn explained(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(error) => format!("{error} {}", error.detail().unwrap_or_default()),
        None => error.to_string(),
    }
}

async fn connect(port: u16, database: &str) -> Result<Client, tokio_postgres::Error> {
    let (client, connection) = tokio_postgres::Config::new()
        .host("127.0.0.1")
        .port(port)
        .user("postgres")
        .dbname(database)
        .connect(NoTls)
        .await?;
    // It ends when the client is dropped; what went wrong the client's calls tell.
    tokio::spawn(async { drop(connection.await) });
    Ok(client)
}

/// Waits for work on a thread of its own, so that it can be called from anywhere.
fn block<T: Send>(work: impl Future<Output = T> + Send) -> T {
    std::thread::scope(|scope| {
        let run = || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime can be made");
            runtime.block_on(work)
        };
        let thread = scope.spawn(run);
        thread
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

#[cfg(test)]
mod tests {
    use tokio_postgres::error::SqlState;

    use super::*;

    #[tokio::test]
    async fn databases_come_and_go_and_the_reader_has_a_password() {
        let server = Postgres::shared();
        let database = server.database();
        database.execute("CREATE TABLE t AS SELECT n FROM generate_series(1, 3) AS n");
        assert_eq!(database.value("SELECT sum(n) FROM t").as_deref(), Some("6"));
        let connect = async |password: &str| {
            let mut config = tokio_postgres::Config::new();
            config.host("127.0.0.1").port(server.port()).user(READER);
            config.dbname(database.name()).password(password);
            let (client, connection) = config.connect(NoTls).await?;
            tokio::spawn(async { drop(connection.await) });
            client.query_one("SELECT count(*) FROM t", &[]).await
        };
        assert_eq!(connect(PASSWORD).await.unwrap().get::<_, i64>(0), 3);
        let error = connect("wrong").await.unwrap_err();
        assert_eq!(error.code(), Some(&SqlState::INVALID_PASSWORD));
        let name = database.name().to_owned();
        drop(database);
        let other = server.database();
        let sql = format!("SELECT count(*) FROM pg_database WHERE datname = '{name}'");
        assert_eq!(other.value(&sql).as_deref(), Some("0"));
    }

    #[test]
    fn a_server_of_ones_own_crashes_and_comes_back_and_ends_with_its_owner() {
        let server = Postgres::start();
        let database = server.database();
        database.execute("CREATE TABLE t (n int)");
        server.crash();
        assert!(block(connect(server.port(), "postgres")).is_err());
        server.resume();
        assert_eq!(
            database.value("SELECT count(*) FROM t").as_deref(),
            Some("0")
        );
        let (port, folder) = (server.port(), server.authority().to_owned());
        drop((database, server));
        assert!(block(connect(port, "postgres")).is_err());
        assert!(!folder.exists(), "the cluster's folder is left");
    }
}
