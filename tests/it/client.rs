//! A Flight client that keeps what it gets as it came: messages, headers, trailers.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use arrow_flight::flight_service_client::FlightServiceClient;
use arrow_flight::sql::{
    ActionClosePreparedStatementRequest, ActionCreatePreparedStatementRequest,
    ActionCreatePreparedStatementResult, Any, CommandPreparedStatementQuery, CommandStatementQuery,
    DoPutPreparedStatementResult, ProstMessageExt,
};
use arrow_flight::utils::{batches_to_flight_data, flight_data_to_batches};
use arrow_flight::{Action, FlightData, FlightDescriptor, FlightInfo, HandshakeRequest, Ticket};
use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD};
use bytes::Bytes;
use futures::TryStreamExt;
use prost::Message as _;
use scrim::demo::world::{PASSWORD, persona};
use tonic::metadata::{KeyAndValueRef, MetadataMap};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic::{Code, Request, Status, Streaming};

/// What gRPC clients accept unless told otherwise.
pub(crate) const MESSAGE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// A connection, with a token once it has signed in.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    pub(crate) inner: FlightServiceClient<Channel>,
    pub(crate) token: Option<String>,
    pub(crate) headers: Vec<(&'static str, String)>,
}

/// One result as it came.
#[derive(Debug)]
pub(crate) struct Fetched {
    pub(crate) messages: Vec<FlightData>,
    pub(crate) headers: MetadataMap,
    pub(crate) trailers: MetadataMap,
}

impl Fetched {
    pub(crate) fn schema(&self) -> SchemaRef {
        Arc::new(Schema::try_from(&self.messages[0]).unwrap())
    }

    pub(crate) fn batches(&self) -> Vec<RecordBatch> {
        flight_data_to_batches(&self.messages).unwrap()
    }

    /// All rows as one batch.
    pub(crate) fn batch(&self) -> RecordBatch {
        arrow::compute::concat_batches(&self.schema(), &self.batches()).unwrap()
    }

    /// Every byte that came, so that it can be searched.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut all = Vec::new();
        for message in &self.messages {
            all.extend_from_slice(&message.data_header);
            all.extend_from_slice(&message.data_body);
            all.extend_from_slice(&message.app_metadata);
        }
        for metadata in [&self.headers, &self.trailers] {
            all.extend_from_slice(&metadata_bytes(metadata));
        }
        all
    }
}

pub(crate) fn metadata_bytes(metadata: &MetadataMap) -> Vec<u8> {
    let mut all = Vec::new();
    for pair in metadata.iter() {
        match pair {
            KeyAndValueRef::Ascii(key, value) => {
                all.extend_from_slice(key.as_str().as_bytes());
                all.extend_from_slice(value.as_encoded_bytes());
            }
            KeyAndValueRef::Binary(key, value) => {
                all.extend_from_slice(key.as_str().as_bytes());
                all.extend_from_slice(&value.to_bytes().unwrap());
            }
        }
    }
    all
}

/// `account:password` as most drivers encode it, or as ADBC does.
pub(crate) fn basic(user: &str, password: &str, padded: bool) -> String {
    let text = format!("{user}:{password}");
    let text = if padded {
        BASE64_STANDARD.encode(text)
    } else {
        BASE64_STANDARD_NO_PAD.encode(text)
    };
    format!("Basic {text}")
}

/// A command as a descriptor carries it.
pub(crate) fn packed(command: &impl ProstMessageExt) -> Bytes {
    command.as_any().encode_to_vec().into()
}

pub(crate) fn statement(sql: &str) -> CommandStatementQuery {
    CommandStatementQuery {
        query: sql.to_owned(),
        transaction_id: None,
    }
}

fn trusting(ca: &str) -> ClientTlsConfig {
    ClientTlsConfig::new()
        .ca_certificate(Certificate::from_pem(ca))
        .domain_name("localhost")
}

impl Client {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
        Self::over(endpoint.connect().await.unwrap())
    }

    pub(crate) async fn connect_tls(
        address: SocketAddr,
        ca: &str,
    ) -> Result<Self, tonic::transport::Error> {
        Self::over_tls(address, trusting(ca)).await
    }

    /// Shows a certificate, too: PEM, with its key.
    pub(crate) async fn connect_mutual_tls(
        address: SocketAddr,
        ca: &str,
        (certificate, key): (&str, &str),
    ) -> Result<Self, tonic::transport::Error> {
        let identity = Identity::from_pem(certificate, key);
        Self::over_tls(address, trusting(ca).identity(identity)).await
    }

    async fn over_tls(
        address: SocketAddr,
        tls: ClientTlsConfig,
    ) -> Result<Self, tonic::transport::Error> {
        let endpoint = Endpoint::from_shared(format!("https://{address}"))?.tls_config(tls)?;
        Ok(Self::over(endpoint.connect().await?))
    }

    fn over(channel: Channel) -> Self {
        let inner = FlightServiceClient::new(channel).max_decoding_message_size(MESSAGE_BYTES_MAX);
        Self {
            inner,
            token: None,
            headers: Vec::new(),
        }
    }

    /// A persona of the demo, signed in, stating its usual purpose.
    pub(crate) async fn persona(address: SocketAddr, id: &str) -> Self {
        let mut client = Self::connect(address).await;
        client.sign_in(id, PASSWORD).await.unwrap();
        client
            .headers
            .push(("x-scrim-purpose", persona(id).unwrap().purpose.to_owned()));
        client
    }

    /// Trades a password for a token, and keeps it.
    pub(crate) async fn sign_in(&mut self, user: &str, password: &str) -> Result<(), Status> {
        let token = self.handshake(&basic(user, password, true)).await?;
        self.token = Some(token);
        Ok(())
    }

    /// A handshake with this `authorization`; the token comes in the response's first headers.
    pub(crate) async fn handshake(&mut self, authorization: &str) -> Result<String, Status> {
        let mut request = Request::new(futures::stream::iter([HandshakeRequest::default()]));
        request
            .metadata_mut()
            .insert("authorization", authorization.parse().unwrap());
        let response = self.inner.handshake(request).await?;
        let header = response
            .metadata()
            .get("authorization")
            .expect("a token in the headers");
        let token = header
            .to_str()
            .unwrap()
            .strip_prefix("Bearer ")
            .expect("a bearer token")
            .to_owned();
        let answers: Vec<_> = response.into_inner().try_collect().await?;
        assert!(!answers.is_empty());
        Ok(token)
    }

    pub(crate) fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        if let Some(token) = &self.token {
            request
                .metadata_mut()
                .insert("authorization", format!("Bearer {token}").parse().unwrap());
        }
        for (name, value) in &self.headers {
            request.metadata_mut().insert(*name, value.parse().unwrap());
        }
        request
    }

    pub(crate) async fn info(
        &mut self,
        command: &impl ProstMessageExt,
    ) -> Result<FlightInfo, Status> {
        let request = self.request(FlightDescriptor::new_cmd(packed(command)));
        Ok(self.inner.get_flight_info(request).await?.into_inner())
    }

    /// The ticket of a statement.
    pub(crate) async fn ticket(&mut self, sql: &str) -> Ticket {
        let info = self.info(&statement(sql)).await.unwrap();
        info.endpoint[0].ticket.clone().unwrap()
    }

    /// The messages of a statement, as they come.
    pub(crate) async fn stream(&mut self, sql: &str) -> Streaming<FlightData> {
        let ticket = self.ticket(sql).await;
        let request = self.request(ticket);
        self.inner.do_get(request).await.unwrap().into_inner()
    }

    pub(crate) async fn get(&mut self, ticket: Ticket) -> Result<Fetched, Status> {
        let response = self.inner.do_get(self.request(ticket)).await?;
        let headers = response.metadata().clone();
        let mut stream = response.into_inner();
        let mut messages = Vec::new();
        while let Some(message) = stream.message().await? {
            messages.push(message);
        }
        let trailers = stream.trailers().await?.unwrap_or_default();
        Ok(Fetched {
            messages,
            headers,
            trailers,
        })
    }

    /// Announces and fetches; what is announced must be what comes.
    pub(crate) async fn fetch(
        &mut self,
        command: &impl ProstMessageExt,
    ) -> Result<Fetched, Status> {
        let info = self.info(command).await?;
        assert_eq!(info.endpoint.len(), 1, "every client handles one endpoint");
        assert!(
            info.endpoint[0].location.is_empty(),
            "every client handles no location"
        );
        assert_eq!(info.total_records, -1, "unknown is not zero");
        let announced = info.clone().try_decode_schema().unwrap();
        let fetched = self.get(info.endpoint[0].ticket.clone().unwrap()).await?;
        assert_eq!(
            announced,
            *fetched.schema(),
            "the announced schema is not the sent one"
        );
        Ok(fetched)
    }

    pub(crate) async fn query(&mut self, sql: &str) -> Result<Fetched, Status> {
        self.fetch(&statement(sql)).await
    }

    pub(crate) async fn action(&mut self, name: &str, body: Bytes) -> Result<Vec<Bytes>, Status> {
        let request = self.request(Action {
            r#type: name.to_owned(),
            body,
        });
        let stream = self.inner.do_action(request).await?.into_inner();
        stream.map_ok(|result| result.body).try_collect().await
    }

    pub(crate) async fn prepare(
        &mut self,
        sql: &str,
    ) -> Result<ActionCreatePreparedStatementResult, Status> {
        let request = ActionCreatePreparedStatementRequest {
            query: sql.to_owned(),
            transaction_id: None,
        };
        let answers = self
            .action("CreatePreparedStatement", packed(&request))
            .await?;
        assert_eq!(answers.len(), 1);
        let any = Any::decode(answers[0].clone()).unwrap();
        Ok(any.unpack().unwrap().expect("the result of a preparation"))
    }

    /// The handle of a statement that is prepared.
    pub(crate) async fn handle(&mut self, sql: &str) -> Bytes {
        self.prepare(sql).await.unwrap().prepared_statement_handle
    }

    pub(crate) async fn close_prepared(&mut self, handle: Bytes) -> Result<(), Status> {
        let request = ActionClosePreparedStatementRequest {
            prepared_statement_handle: handle,
        };
        self.action("ClosePreparedStatement", packed(&request))
            .await
            .map(drop)
    }

    /// Binds one row; gives the updated handle.
    pub(crate) async fn bind(&mut self, handle: Bytes, row: RecordBatch) -> Result<Bytes, Status> {
        let command = CommandPreparedStatementQuery {
            prepared_statement_handle: handle,
        };
        let mut data = batches_to_flight_data(&row.schema(), vec![row]).unwrap();
        data[0].flight_descriptor = Some(FlightDescriptor::new_cmd(packed(&command)));
        let request = self.request(futures::stream::iter(data));
        let mut answers = self.inner.do_put(request).await?.into_inner();
        let answer = answers.message().await?.expect("an answer to DoPut");
        let result = DoPutPreparedStatementResult::decode(answer.app_metadata).unwrap();
        Ok(result.prepared_statement_handle.expect("an updated handle"))
    }
}

/// Any message that gRPC carries back with an error is short enough to arrive, and has a code of
/// its own.
pub(crate) fn is_clean(status: &Status) {
    assert!(
        status.message().len() <= 2048,
        "{} bytes",
        status.message().len()
    );
    let trailers = metadata_bytes(status.metadata()).len() + status.details().len() * 4 / 3;
    assert!(trailers + status.message().len() * 3 / 2 < 8192);
    assert!(
        !matches!(status.code(), Code::Internal | Code::Unknown | Code::Ok),
        "{status:?}"
    );
}

/// `google.rpc.Status`.
#[derive(Clone, PartialEq, prost::Message)]
struct RpcStatus {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
    #[prost(message, repeated, tag = "3")]
    details: Vec<Any>,
}

/// `google.rpc.ErrorInfo`.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct ErrorInfo {
    #[prost(string, tag = "1")]
    pub(crate) reason: String,
    #[prost(string, tag = "2")]
    pub(crate) domain: String,
    #[prost(map = "string, string", tag = "3")]
    pub(crate) metadata: HashMap<String, String>,
}

/// What a status says to machines.
pub(crate) fn error_info(status: &Status) -> ErrorInfo {
    let details = RpcStatus::decode(status.details()).unwrap();
    assert_eq!(details.code, i32::from(status.code()));
    assert_eq!(details.message, status.message());
    let [any] = details.details.as_slice() else {
        panic!("{status:?}");
    };
    assert_eq!(any.type_url, "type.googleapis.com/google.rpc.ErrorInfo");
    let info = ErrorInfo::decode(any.value.clone()).unwrap();
    assert_eq!((&*info.reason, &*info.domain), (code(status), "scrim"));
    info
}

/// The stable code that a status message begins with.
pub(crate) fn code(status: &Status) -> &str {
    status.message().split(':').next().unwrap_or_default()
}
