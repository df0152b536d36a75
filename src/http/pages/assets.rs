//! What pages are made of beside HTML.

use actix_web::HttpResponse;
use actix_web::http::header::CONTENT_TYPE;

pub async fn get_style() -> HttpResponse {
    asset("text/css", include_str!("../../../assets/gatelodge.css"))
}

pub async fn get_script() -> HttpResponse {
    asset(
        "text/javascript",
        include_str!("../../../assets/gatelodge.js"),
    )
}

pub async fn get_icon() -> HttpResponse {
    asset(
        "image/svg+xml",
        include_str!("../../../assets/gatelodge.svg"),
    )
}

fn asset(media_type: &str, content: &'static str) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, format!("{media_type}; charset=utf-8")))
        .body(content)
}
