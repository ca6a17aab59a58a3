
/*
 * Copyright (C) Spaces for nginx contributors
 *
 * Variables: for logs, limits, and an operator's own page of a link.
 */


#include "ngx_http_spaces_conf.h"
#include "ngx_http_spaces_page.h"


typedef enum {
    ngx_http_spaces_variable_id = 0,
    ngx_http_spaces_variable_role,
    ngx_http_spaces_variable_state,
    ngx_http_spaces_variable_request,
    ngx_http_spaces_variable_title,
    ngx_http_spaces_variable_host,
    ngx_http_spaces_variable_duration,
    ngx_http_spaces_variable_link,
    ngx_http_spaces_variable_token
} ngx_http_spaces_variable_e;


static ngx_int_t ngx_http_spaces_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);


static ngx_http_variable_t  ngx_http_spaces_variables[] = {

    { ngx_string("spaces_id"), NULL, ngx_http_spaces_variable,
      ngx_http_spaces_variable_id, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("spaces_role"), NULL, ngx_http_spaces_variable,
      ngx_http_spaces_variable_role, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("spaces_state"), NULL, ngx_http_spaces_variable,
      ngx_http_spaces_variable_state, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("spaces_request"), NULL, ngx_http_spaces_variable,
      ngx_http_spaces_variable_request, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("spaces_title"), NULL, ngx_http_spaces_variable,
      ngx_http_spaces_variable_title, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("spaces_host"), NULL, ngx_http_spaces_variable,
      ngx_http_spaces_variable_host, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("spaces_duration"), NULL, ngx_http_spaces_variable,
      ngx_http_spaces_variable_duration, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("spaces_link"), NULL, ngx_http_spaces_variable,
      ngx_http_spaces_variable_link, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("spaces_token"), NULL, ngx_http_spaces_variable,
      ngx_http_spaces_variable_token, NGX_HTTP_VAR_NOCACHEABLE, 0 },

      ngx_http_null_variable
};


ngx_int_t
ngx_http_spaces_add_variables(ngx_conf_t *cf)
{
    ngx_http_variable_t  *var, *v;

    for (v = ngx_http_spaces_variables; v->name.len; v++) {
        var = ngx_http_add_variable(cf, &v->name, v->flags);
        if (var == NULL) {
            return NGX_ERROR;
        }

        var->get_handler = v->get_handler;
        var->data = v->data;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_spaces_variable(ngx_http_request_t *r, ngx_http_variable_value_t *v,
    uintptr_t data)
{
    ngx_str_t                    value;
    ngx_http_spaces_ctx_t       *ctx;
    ngx_http_spaces_loc_conf_t  *slcf;

    ngx_str_null(&value);

    if (data == ngx_http_spaces_variable_request) {

        slcf = ngx_http_get_module_loc_conf(r, ngx_http_spaces_module);

        if (slcf->handler && ngx_http_spaces_mask(r) != NGX_OK) {
            return NGX_ERROR;
        }

        value = r->request_line;

    } else {
        ctx = ngx_http_spaces_find_ctx(r);

        if (ctx) {

            switch (data) {

            case ngx_http_spaces_variable_id:
                value = ctx->id;
                break;

            case ngx_http_spaces_variable_role:
                value = ngx_http_spaces_roles[ctx->role];
                break;

            case ngx_http_spaces_variable_state:
                if (ctx->space) {
                    value = ngx_http_spaces_states[ctx->space->state];
                }

                break;

            case ngx_http_spaces_variable_title:
                if (ctx->space) {
                    value = ctx->space->title;
                }

                break;

            case ngx_http_spaces_variable_host:
                if (ctx->space) {
                    value = ctx->space->host;
                }

                break;

            case ngx_http_spaces_variable_duration:
                if (ctx->space) {
                    value = ngx_http_spaces_page_duration(r->pool,
                                           ngx_http_spaces_page_length(ctx));
                }

                break;

            case ngx_http_spaces_variable_link:
                value = ctx->link;
                break;

            default: /* ngx_http_spaces_variable_token */
                value = ctx->share_token;
            }
        }
    }

    if (value.len == 0) {
        v->not_found = 1;
        return NGX_OK;
    }

    v->data = value.data;
    v->len = value.len;
    v->valid = 1;
    v->no_cacheable = 0;
    v->not_found = 0;

    return NGX_OK;
}
