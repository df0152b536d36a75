use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_TYPE, ETag, EntityTag, Header as _, HeaderValue, IfNoneMatch,
};
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest::{SHA256, digest};
use utoipa::ToSchema;

use crate::http::problem::Problem;
use crate::http::services::Services;

/// RFC 7517, 8.5.
const JWK_SET: HeaderValue = HeaderValue::from_static("application/jwk-set+json");

/// For how long a new key is to be published before it signs.
const FIVE_MINUTES: HeaderValue = HeaderValue::from_static("public, max-age=300");

/// The public keys of the JWTs of this service (RFC 7517)
#[derive(ToSchema)]
#[schema(as = JwkSet)]
#[expect(dead_code, reason = "describes the domain's")]
struct JwkSetBody {
    keys: Vec<JwkBody>,
}

#[derive(ToSchema)]
#[schema(as = Jwk)]
#[expect(dead_code, reason = "describes the domain's")]
struct JwkBody {
    #[schema(example = "OKP")]
    kty: String,
    /// Named in the header of a JWT: the key's thumbprint (RFC 7638).
    #[schema(example = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k")]
    kid: String,
    /// The one algorithm that it is for.
    #[schema(example = "EdDSA")]
    alg: String,
    #[schema(example = "sig")]
    r#use: String,
    #[schema(required = false, example = "Ed25519")]
    crv: String,
    #[schema(
        required = false,
        example = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
    )]
    x: String,
    #[schema(required = false)]
    y: String,
    #[schema(required = false)]
    n: String,
    #[schema(required = false)]
    e: String,
}

/// The public keys that the JWTs of this service are verified by
#[utoipa::path(
    get, path = "/.well-known/jwks.json", tag = "tokens",
    responses(
        (status = 200, body = JwkSetBody, content_type = "application/jwk-set+json"),
        (status = 304, description = "They are those of `If-None-Match`."),
    ),
)]
pub async fn get_jwks(
    request: HttpRequest,
    services: Data<Services>,
) -> Result<HttpResponse, Problem> {
    let keys = serde_json::to_vec(&services.mint.published()).map_err(Problem::internal)?;
    let tag = URL_SAFE_NO_PAD.encode(digest(&SHA256, &keys));
    let tag = EntityTag::new_strong(tag);
    let is_known = is_known(&request, &tag);
    let (tag, cached) = (ETag(tag), (CACHE_CONTROL, FIVE_MINUTES));
    Ok(if is_known {
        HttpResponse::NotModified()
            .insert_header(tag)
            .insert_header(cached)
            .finish()
    } else {
        HttpResponse::Ok()
            .insert_header(tag)
            .insert_header(cached)
            .insert_header((CONTENT_TYPE, JWK_SET))
            .body(keys)
    })
}

/// Whether who asks has it already (RFC 9110, 13.1.2).
fn is_known(request: &HttpRequest, tag: &EntityTag) -> bool {
    match IfNoneMatch::parse(request) {
        Ok(IfNoneMatch::Any) => true,
        Ok(IfNoneMatch::Items(known)) => known.iter().any(|known| known.weak_eq(tag)),
        Err(_) => false,
    }
}
