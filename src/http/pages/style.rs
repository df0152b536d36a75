use actix_web::HttpResponse;
use actix_web::http::header::CONTENT_TYPE;

const STYLE: &str = include_str!("../../../assets/gatelodge.css");

pub async fn get_style() -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "text/css; charset=utf-8"))
        .body(STYLE)
}
