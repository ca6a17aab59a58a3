
/*
 * Copyright (C) Spaces for nginx contributors
 *
 * The directive "spaces_redis".
 */


#include "ngx_http_spaces_redis.h"


static char *ngx_http_spaces_redis_address(ngx_conf_t *cf,
    ngx_http_spaces_redis_conf_t *rcf);
static char *ngx_http_spaces_redis_parameter(ngx_conf_t *cf,
    ngx_http_spaces_redis_conf_t *rcf, ngx_str_t *value);
static char *ngx_http_spaces_redis_wrong(ngx_conf_t *cf, ngx_str_t *value,
    const char *fix);
static ngx_uint_t ngx_http_spaces_redis_is_twice(ngx_str_t *value,
    ngx_uint_t i);
static char *ngx_http_spaces_redis_password(ngx_conf_t *cf,
    ngx_http_spaces_redis_conf_t *rcf, ngx_str_t *name);


char *
ngx_http_spaces_redis_directive(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_spaces_main_conf_t *smcf = conf;

    char                          *rv;
    ngx_str_t                     *value;
    ngx_uint_t                     i;
    ngx_http_spaces_redis_conf_t  *rcf;

    rcf = &smcf->redis_conf;

    if (rcf->name.data) {
        return "is duplicate";
    }

    value = cf->args->elts;

    rcf->name = value[1];
    rcf->timeout = 1000;
    ngx_str_set(&rcf->prefix, "spaces:");

    rv = ngx_http_spaces_redis_address(cf, rcf);

    if (rv != NGX_CONF_OK) {
        return rv;
    }

    for (i = 2; i < cf->args->nelts; i++) {

        if (ngx_http_spaces_redis_is_twice(value, i)) {
            return ngx_http_spaces_redis_wrong(cf, &value[i],
                                               "it is given twice");
        }

        rv = ngx_http_spaces_redis_parameter(cf, rcf, &value[i]);

        if (rv != NGX_CONF_OK) {
            return rv;
        }
    }

    if (rcf->user.len && rcf->password.len == 0) {
        return "has \"user=\" without \"password=\" or \"password_file=\"";
    }

    return NGX_CONF_OK;
}


/* resolved now: hiredis would block a worker to look up a name */

static char *
ngx_http_spaces_redis_address(ngx_conf_t *cf,
    ngx_http_spaces_redis_conf_t *rcf)
{
    u_char     *p;
    ngx_url_t   u;
    u_char      text[NGX_SOCKADDR_STRLEN];

    if (ngx_strncmp(rcf->name.data, "unix:", 5) == 0) {

        rcf->host.data = rcf->name.data + 5;
        rcf->host.len = rcf->name.len - 5;

        if (rcf->host.len == 0) {
            return "has no path behind \"unix:\"";
        }

        if (ngx_conf_full_name(cf->cycle, &rcf->host, 0) != NGX_OK) {
            return NGX_CONF_ERROR;
        }

        if (rcf->host.len >= sizeof(((struct sockaddr_un *) 0)->sun_path)) {
            return "has a path that is too long for a socket";
        }

        return NGX_CONF_OK;
    }

    ngx_memzero(&u, sizeof(ngx_url_t));

    u.url = rcf->name;
    u.default_port = 6379;

    if (ngx_parse_url(cf->pool, &u) != NGX_OK || u.naddrs == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "%s in \"spaces_redis %V\": write \"host:port\" or "
                           "\"unix:/path\"", u.err ? u.err : "no address",
                           &rcf->name);
        return NGX_CONF_ERROR;
    }

    rcf->host.len = ngx_sock_ntop(u.addrs[0].sockaddr, u.addrs[0].socklen,
                                  text, NGX_SOCKADDR_STRLEN, 0);
    rcf->port = ngx_inet_get_port(u.addrs[0].sockaddr);

    p = ngx_pnalloc(cf->pool, rcf->host.len + 1);
    if (p == NULL) {
        return NGX_CONF_ERROR;
    }

    rcf->host.data = p;

    if (rcf->host.len > 2 && text[0] == '[') {

        /* an IPv6 address without its brackets */

        rcf->host.len -= 2;
        ngx_memcpy(p, text + 1, rcf->host.len);

    } else {
        ngx_memcpy(p, text, rcf->host.len);
    }

    p[rcf->host.len] = '\0';

    return NGX_CONF_OK;
}


static char *
ngx_http_spaces_redis_parameter(ngx_conf_t *cf,
    ngx_http_spaces_redis_conf_t *rcf, ngx_str_t *value)
{
    ngx_int_t  n;
    ngx_str_t  s;

    if (ngx_strncmp(value->data, "db=", 3) == 0) {

        n = ngx_atoi(value->data + 3, value->len - 3);
        if (n == NGX_ERROR || n > NGX_MAX_INT32_VALUE) {
            return ngx_http_spaces_redis_wrong(cf, value,
                                               "write a number as \"db=1\"");
        }

        rcf->db = (ngx_uint_t) n;

        return NGX_CONF_OK;
    }

    if (ngx_strncmp(value->data, "user=", 5) == 0) {
        rcf->user.data = value->data + 5;
        rcf->user.len = value->len - 5;

        return NGX_CONF_OK;
    }

    if (ngx_strncmp(value->data, "password=", 9) == 0) {
        rcf->password.data = value->data + 9;
        rcf->password.len = value->len - 9;

        return NGX_CONF_OK;
    }

    if (ngx_strncmp(value->data, "password_file=", 14) == 0) {
        s.data = value->data + 14;
        s.len = value->len - 14;

        return ngx_http_spaces_redis_password(cf, rcf, &s);
    }

    if (ngx_strncmp(value->data, "prefix=", 7) == 0) {
        rcf->prefix.data = value->data + 7;
        rcf->prefix.len = value->len - 7;

        return NGX_CONF_OK;
    }

    if (ngx_strncmp(value->data, "timeout=", 8) == 0) {
        s.data = value->data + 8;
        s.len = value->len - 8;

        n = ngx_parse_time(&s, 0);
        if (n == NGX_ERROR || n == 0) {
            return ngx_http_spaces_redis_wrong(cf, value,
                                               "write a time as "
                                               "\"timeout=500ms\"");
        }

        rcf->timeout = (ngx_msec_t) n;

        return NGX_CONF_OK;
    }

    return ngx_http_spaces_redis_wrong(cf, value,
                                       "there are db=, user=, password=, "
                                       "password_file=, prefix= and timeout=");
}


static char *
ngx_http_spaces_redis_wrong(ngx_conf_t *cf, ngx_str_t *value, const char *fix)
{
    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "invalid parameter \"%V\" in \"spaces_redis\": %s",
                       value, fix);

    return NGX_CONF_ERROR;
}


/* whether one before it is of the same name; both passwords are the same */

static ngx_uint_t
ngx_http_spaces_redis_is_twice(ngx_str_t *value, ngx_uint_t i)
{
    size_t      len;
    ngx_uint_t  k;

    len = strcspn((char *) value[i].data, "=");

    if (ngx_strncmp(value[i].data, "password_file", len) == 0) {
        len = ngx_min(len, sizeof("password") - 1);
    }

    for (k = 2; k < i; k++) {

        if (ngx_strncmp(value[k].data, value[i].data, len) == 0) {
            return 1;
        }
    }

    return 0;
}


static char *
ngx_http_spaces_redis_password(ngx_conf_t *cf,
    ngx_http_spaces_redis_conf_t *rcf, ngx_str_t *name)
{
    u_char    *p;
    ssize_t    n;
    ngx_fd_t   fd;
    u_char     buf[1024];

    if (ngx_conf_full_name(cf->cycle, name, 1) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    fd = ngx_open_file(name->data, NGX_FILE_RDONLY, NGX_FILE_OPEN, 0);

    if (fd == NGX_INVALID_FILE) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                           "\"password_file=%V\" of \"spaces_redis\" can't be "
                           "read", name);
        return NGX_CONF_ERROR;
    }

    n = ngx_read_fd(fd, buf, sizeof(buf));

    (void) ngx_close_file(fd);

    while (n > 0 && (buf[n - 1] == LF || buf[n - 1] == CR)) {
        n--;
    }

    if (n <= 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"password_file=%V\" of \"spaces_redis\" holds no "
                           "password", name);
        return NGX_CONF_ERROR;
    }

    p = ngx_pnalloc(cf->pool, n);
    if (p == NULL) {
        return NGX_CONF_ERROR;
    }

    ngx_memcpy(p, buf, n);

    rcf->password.data = p;
    rcf->password.len = n;

    return NGX_CONF_OK;
}
