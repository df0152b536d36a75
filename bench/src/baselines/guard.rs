//! A middleware of the gate's shape around any other way to tell who asks: one
//! boxed future, the identity left in the request, 401 for nobody.

use std::future::{Future, Ready, ready};
use std::pin::Pin;
use std::rc::Rc;

use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{Service, ServiceRequest, ServiceResponse, Transform, forward_ready};
use actix_web::http::header::{COOKIE, HeaderMap};
use actix_web::{Error, HttpMessage as _, HttpRequest, HttpResponse};

use crate::stand::COOKIE_NAME;

/// A way to tell who asks.
pub(super) trait Identify: 'static {
    type Identity: 'static;

    async fn identify(&self, request: &HttpRequest) -> Option<Self::Identity>;
}

pub(super) struct Guard<I>(Rc<I>);

impl<I> Guard<I> {
    pub(super) fn new(identify: I) -> Self {
        Self(Rc::new(identify))
    }
}

impl<S, B, I> Transform<S, ServiceRequest> for Guard<I>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
    B: MessageBody + 'static,
    I: Identify,
{
    type Response = ServiceResponse<EitherBody<B>>;
    type Error = Error;
    type Transform = Guarded<S, I>;
    type InitError = ();
    type Future = Ready<Result<Self::Transform, ()>>;

    fn new_transform(&self, service: S) -> Self::Future {
        ready(Ok(Guarded {
            service: Rc::new(service),
            identify: Rc::clone(&self.0),
        }))
    }
}

pub(super) struct Guarded<S, I> {
    service: Rc<S>,
    identify: Rc<I>,
}

impl<S, B, I> Service<ServiceRequest> for Guarded<S, I>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
    B: MessageBody + 'static,
    I: Identify,
{
    type Response = ServiceResponse<EitherBody<B>>;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Error>>>>;

    forward_ready!(service);

    fn call(&self, request: ServiceRequest) -> Self::Future {
        let (service, identify) = (Rc::clone(&self.service), Rc::clone(&self.identify));
        Box::pin(async move {
            let Some(somebody) = identify.identify(request.request()).await else {
                let refusal = HttpResponse::Unauthorized().finish();
                return Ok(request.into_response(refusal).map_into_right_body());
            };
            request.extensions_mut().insert(somebody);
            Ok(service.call(request).await?.map_into_left_body())
        })
    }
}

/// The cookie's value, read as Gatelodge reads its own: byte by byte, and none of two.
pub(super) fn cookie(headers: &HeaderMap) -> Option<&[u8]> {
    let mut values = headers
        .get_all(COOKIE)
        .flat_map(|header| header.as_bytes().split(|byte| *byte == b';'))
        .map(|pair| pair.strip_prefix(b" ").unwrap_or(pair))
        .filter_map(|pair| {
            pair.strip_prefix(COOKIE_NAME.as_bytes())?
                .strip_prefix(b"=")
        });
    let value = values.next()?;
    values.next().is_none().then_some(value)
}
