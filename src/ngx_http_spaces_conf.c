
/*
 * Copyright (C) Spaces for nginx contributors
 */


#include "ngx_http_spaces_conf.h"
#include "ngx_http_spaces_handlers.h"


/* what dates in ms, and years of four digits, have room for, s */
#define NGX_HTTP_SPACES_LONGEST  (100 * 365 * 24 * 3600LL)


static char *ngx_http_spaces_folder(ngx_conf_t *cf, ngx_str_t *path,
    const char *name);
static ngx_int_t ngx_http_spaces_time(ngx_conf_t *cf, ngx_command_t *cmd,
    ngx_str_t *value, time_t *t);
static ngx_uint_t ngx_http_spaces_is_host(ngx_conf_t *cf, u_char *host);
static ngx_uint_t ngx_http_spaces_has_variable(ngx_str_t *value);
static char *ngx_http_spaces_set_handler(ngx_conf_t *cf,
    ngx_http_spaces_loc_conf_t *slcf, ngx_http_handler_pt handler);


char *
ngx_http_spaces_zone(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_spaces_main_conf_t *smcf = conf;

    ssize_t                  size;
    ngx_str_t               *value;
    ngx_http_spaces_zone_t  *zone;

    if (smcf->shm_zone) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (value[1].len == 0) {
        return "has no name: write \"spaces_zone spaces 64m\"";
    }

    size = ngx_parse_size(&value[2]);

    if (size == NGX_ERROR) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid size \"%V\" in \"spaces_zone\": write "
                           "\"spaces_zone name 64m\"", &value[2]);
        return NGX_CONF_ERROR;
    }

    if (size < NGX_HTTP_SPACES_MIN_ZONE) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"spaces_zone\" of \"%V\" is too small: a live "
                           "Space takes up to a megabyte, write 1m at least",
                           &value[2]);
        return NGX_CONF_ERROR;
    }

    zone = ngx_pcalloc(cf->pool, sizeof(ngx_http_spaces_zone_t));
    if (zone == NULL) {
        return NGX_CONF_ERROR;
    }

    smcf->shm_zone = ngx_shared_memory_add(cf, &value[1], size,
                                           &ngx_http_spaces_module);
    if (smcf->shm_zone == NULL) {
        return NGX_CONF_ERROR;
    }

    smcf->shm_zone->init = ngx_http_spaces_zone_init;
    smcf->shm_zone->data = zone;

    return NGX_CONF_OK;
}


char *
ngx_http_spaces_path(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_spaces_main_conf_t *smcf = conf;

    char       *rv;
    ngx_str_t  *value;

    if (smcf->path.data) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (ngx_http_spaces_has_variable(&value[1])) {
        return "takes no variables: it is one folder for all of this nginx";
    }

    smcf->path = value[1];

    while (smcf->path.len > 1
           && smcf->path.data[smcf->path.len - 1] == '/')
    {
        smcf->path.data[--smcf->path.len] = '\0';
    }

    if (smcf->path.len == 0
        || ngx_conf_full_name(cf->cycle, &smcf->path, 0) != NGX_OK)
    {
        return "has no path";
    }

    if ((rv = ngx_http_spaces_folder(cf, &smcf->path, "")) != NGX_CONF_OK
        || (rv = ngx_http_spaces_folder(cf, &smcf->path, "/live"))
           != NGX_CONF_OK
        || (rv = ngx_http_spaces_folder(cf, &smcf->path, "/recordings"))
           != NGX_CONF_OK)
    {
        return rv;
    }

    return ngx_http_spaces_folder(cf, &smcf->path, "/held");
}


/* made here, so that "nginx -t" tells; given to the workers' user by nginx */

static char *
ngx_http_spaces_folder(ngx_conf_t *cf, ngx_str_t *path, const char *name)
{
    char        *file;
    ngx_err_t    err;
    ngx_path_t  *folder;

    folder = ngx_pcalloc(cf->pool, sizeof(ngx_path_t));
    if (folder == NULL) {
        return NGX_CONF_ERROR;
    }

    folder->name.len = path->len + ngx_strlen(name);
    folder->name.data = ngx_pnalloc(cf->pool, folder->name.len + 1);
    if (folder->name.data == NULL) {
        return NGX_CONF_ERROR;
    }

    ngx_sprintf(folder->name.data, "%V%s%Z", path, name);

    file = (char *) folder->name.data;

    if (mkdir(file, 0700) == -1 && ngx_errno != NGX_EEXIST) {
        goto failed;
    }

    if (access(file, R_OK|W_OK|X_OK) == -1) {
        goto failed;
    }

    folder->conf_file = cf->conf_file->file.name.data;
    folder->line = cf->conf_file->line;

    if (ngx_add_path(cf, &folder) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;

failed:

    err = ngx_errno;

    ngx_conf_log_error(NGX_LOG_EMERG, cf, err,
                       "\"spaces_path\": the folder \"%s\" can't be written; "
                       "create it, and give it to the user of nginx's "
                       "workers", file);

    return NGX_CONF_ERROR;
}


char *
ngx_http_spaces_node(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_spaces_main_conf_t *smcf = conf;

    ngx_str_t  *value;

    if (smcf->node.data) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (value[1].len == 0 || value[1].len > NGX_HTTP_SPACES_MAX_NAME) {
        return "must be a name of 1 to 64 bytes";
    }

    if (ngx_http_spaces_has_variable(&value[1])) {
        return "takes no variables: it is one name for all of this nginx";
    }

    smcf->node = value[1];

    return NGX_CONF_OK;
}


char *
ngx_http_spaces_duration(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    time_t     *tp;
    ngx_str_t  *value;

    tp = (time_t *) ((char *) conf + cmd->offset);

    if (*tp != NGX_CONF_UNSET) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (ngx_http_spaces_time(cf, cmd, &value[1], tp) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    if (*tp == 0
        && cmd->offset != offsetof(ngx_http_spaces_loc_conf_t, reconnect))
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid time \"%V\" in \"%V\": no time at all is "
                           "not enough, write a time such as \"12h\"",
                           &value[1], &cmd->name);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_spaces_time(ngx_conf_t *cf, ngx_command_t *cmd, ngx_str_t *value,
    time_t *t)
{
    *t = ngx_parse_time(value, 1);

    if (*t == (time_t) NGX_ERROR) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid time \"%V\" in \"%V\": write a time such "
                           "as \"90s\", \"12h\" or \"30d\"", value,
                           &cmd->name);
        return NGX_ERROR;
    }

    if (*t > NGX_HTTP_SPACES_LONGEST) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "the time \"%V\" in \"%V\" is too long: write 100 "
                           "years (\"36500d\") at most", value, &cmd->name);
        return NGX_ERROR;
    }

    return NGX_OK;
}


char *
ngx_http_spaces_hold(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_spaces_loc_conf_t *slcf = conf;

    time_t      t[2];
    ngx_str_t  *value;
    ngx_uint_t  i;

    if (slcf->hold != NGX_CONF_UNSET) {
        return "is duplicate";
    }

    value = cf->args->elts;
    t[0] = 0;
    t[1] = 0;

    for (i = 1; i < cf->args->nelts; i++) {
        if (ngx_http_spaces_time(cf, cmd, &value[i], &t[i - 1]) != NGX_OK) {
            return NGX_CONF_ERROR;
        }
    }

    if (cf->args->nelts == 2) {
        t[1] = ngx_max(t[0], NGX_HTTP_SPACES_DEFAULT_HOLD_MAX);
    }

    if (t[0] > t[1]) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "the hold \"%V\" in \"spaces_hold\" is longer than "
                           "its maximum \"%V\": swap them, or raise the "
                           "maximum", &value[1], &value[2]);
        return NGX_CONF_ERROR;
    }

    slcf->hold = t[0];
    slcf->hold_max = t[1];

    return NGX_CONF_OK;
}


char *
ngx_http_spaces_min_free(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    char       *rv;
    ngx_str_t  *value;

    rv = ngx_conf_set_off_slot(cf, cmd, conf);

    if (rv == NGX_CONF_OK || ngx_strcmp(rv, "invalid value") != 0) {
        return rv;
    }

    value = cf->args->elts;

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "invalid size \"%V\" in \"spaces_min_free\": write a "
                       "size such as \"1g\"", &value[1]);

    return NGX_CONF_ERROR;
}


/* what is neither is no mistake to be found when somebody was recorded */

char *
ngx_http_spaces_switch(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    char                       *rv;
    ngx_str_t                  *value;
    ngx_uint_t                  i;
    ngx_http_complex_value_t  **cv;

    static ngx_str_t  known[] = {
        ngx_string("on"), ngx_string("off"), ngx_string("1"), ngx_string("0"),
        ngx_string("")
    };

    rv = ngx_http_set_complex_value_slot(cf, cmd, conf);

    if (rv != NGX_CONF_OK) {
        return rv;
    }

    cv = (ngx_http_complex_value_t **) ((char *) conf + cmd->offset);

    if ((*cv)->lengths) {
        return NGX_CONF_OK;
    }

    value = cf->args->elts;

    for (i = 0; i < sizeof(known) / sizeof(known[0]); i++) {

        if (value[1].len == known[i].len
            && ngx_strncasecmp(value[1].data, known[i].data, known[i].len)
               == 0)
        {
            return NGX_CONF_OK;
        }
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "invalid value \"%V\" in \"%V\": write \"on\", "
                       "\"off\", or a variable that is", &value[1],
                       &cmd->name);

    return NGX_CONF_ERROR;
}


char *
ngx_http_spaces_share_url(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_spaces_loc_conf_t *slcf = conf;

    char  *rv;

    rv = ngx_http_set_complex_value_slot(cf, cmd, conf);

    if (rv != NGX_CONF_OK) {
        return rv;
    }

    if (slcf->share_url->lengths == NULL) {
        return "has no token in it: write \"$spaces_token\" where it is to be";
    }

    /* a variable of the operator's own may have it, as one of "map" */

    if (ngx_strstr(slcf->share_url->value.data, "spaces_token") == NULL) {
        ngx_conf_log_error(NGX_LOG_WARN, cf, 0,
                           "\"spaces_share_url\" has no \"$spaces_token\": "
                           "links open nothing, unless a variable in it has");
    }

    return NGX_CONF_OK;
}


char *
ngx_http_spaces_max_speakers(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_spaces_loc_conf_t *slcf = conf;

    ngx_str_t                    *value;
    ngx_http_spaces_main_conf_t  *smcf;

    if (slcf->max_speakers != NGX_CONF_UNSET) {
        return "is duplicate";
    }

    value = cf->args->elts;

    slcf->max_speakers = ngx_atoi(value[1].data, value[1].len);

    if (slcf->max_speakers < 1
        || slcf->max_speakers > SPACES_PLAYOUT_SOURCES)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid number \"%V\" in \"spaces_max_speakers\":"
                           " write 1 to %d, the host is one of them",
                           &value[1], SPACES_PLAYOUT_SOURCES);
        return NGX_CONF_ERROR;
    }

    smcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_spaces_module);

    smcf->max_speakers = ngx_max(smcf->max_speakers,
                                 (ngx_uint_t) slcf->max_speakers);

    return NGX_CONF_OK;
}


char *
ngx_http_spaces_bitrate(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_spaces_loc_conf_t *slcf = conf;

    size_t      len;
    ngx_int_t   n;
    ngx_str_t  *value;

    if (slcf->bitrate != NGX_CONF_UNSET_SIZE) {
        return "is duplicate";
    }

    value = cf->args->elts;
    len = value[1].len;

    if (len && (value[1].data[len - 1] | 0x20) == 'k') {
        n = ngx_atoi(value[1].data, len - 1);
        n = (n == NGX_ERROR || n > 1000) ? NGX_ERROR : n * 1000;

    } else {
        n = ngx_atoi(value[1].data, len);
    }

    /* RFC 6716, 2.1.1 */

    if (n < 6000 || n > 510000) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid bitrate \"%V\" in \"spaces_bitrate\": "
                           "write 6k to 510k, in bit/s", &value[1]);
        return NGX_CONF_ERROR;
    }

    slcf->bitrate = (size_t) n;

    return NGX_CONF_OK;
}


char *
ngx_http_spaces_channels(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_spaces_loc_conf_t *slcf = conf;

    ngx_str_t  *value;

    if (slcf->channels != NGX_CONF_UNSET) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (value[1].len != 1
        || (value[1].data[0] != '1' && value[1].data[0] != '2'))
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid number \"%V\" in \"spaces_channels\": "
                           "write 1 or 2", &value[1]);
        return NGX_CONF_ERROR;
    }

    slcf->channels = value[1].data[0] - '0';

    return NGX_CONF_OK;
}


char *
ngx_http_spaces_origin(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_spaces_loc_conf_t *slcf = conf;

    u_char      *host;
    ngx_str_t   *value, *origin;
    ngx_uint_t   i;

    if (slcf->origins != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    slcf->origins = ngx_array_create(cf->pool, 4, sizeof(ngx_str_t));
    if (slcf->origins == NULL) {
        return NGX_CONF_ERROR;
    }

    value = cf->args->elts;

    for (i = 1; i < cf->args->nelts; i++) {

        host = NULL;

        if (ngx_strncasecmp(value[i].data, (u_char *) "http://", 7) == 0) {
            host = value[i].data + 7;
        }

        if (ngx_strncasecmp(value[i].data, (u_char *) "https://", 8) == 0) {
            host = value[i].data + 8;
        }

        if (host == NULL || !ngx_http_spaces_is_host(cf, host)) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid origin \"%V\" in \"spaces_origin\": "
                               "write \"https://example.com\", with no path, "
                               "no slash at its end and no wildcard",
                               &value[i]);
            return NGX_CONF_ERROR;
        }

        origin = ngx_array_push(slcf->origins);
        if (origin == NULL) {
            return NGX_CONF_ERROR;
        }

        *origin = value[i];
    }

    return NGX_CONF_OK;
}


/* a name or an address, and perhaps a port */

static ngx_uint_t
ngx_http_spaces_is_host(ngx_conf_t *cf, u_char *host)
{
    u_char     *p;
    ngx_url_t   u;

    for (p = host; *p; p++) {

        if (!isalnum(*p) && strchr("-._:[]", *p) == NULL) {
            return 0;
        }
    }

    ngx_memzero(&u, sizeof(ngx_url_t));

    u.url.data = host;
    u.url.len = p - host;
    u.default_port = 80;
    u.no_resolve = 1;

    return u.url.len && ngx_parse_url(cf->pool, &u) == NGX_OK;
}


static ngx_uint_t
ngx_http_spaces_has_variable(ngx_str_t *value)
{
    return ngx_strlchr(value->data, value->data + value->len, '$') != NULL;
}


static char *
ngx_http_spaces_set_handler(ngx_conf_t *cf, ngx_http_spaces_loc_conf_t *slcf,
    ngx_http_handler_pt handler)
{
    ngx_http_core_loc_conf_t     *clcf;
    ngx_http_spaces_main_conf_t  *smcf;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);
    smcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_spaces_module);

    if (slcf->handler) {
        return "conflicts with another handler in this location";
    }

    slcf->handler = handler;
    slcf->file = cf->conf_file->file.name;
    slcf->line = cf->conf_file->line;
    clcf->handler = handler;

    if (smcf->handler_line == 0) {
        smcf->handler_file = slcf->file;
        smcf->handler_line = slcf->line;
    }

    return NGX_CONF_OK;
}


char *
ngx_http_spaces_api(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_spaces_loc_conf_t *slcf = conf;

    ngx_http_core_loc_conf_t  *clcf;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

#if (NGX_PCRE)
    if (clcf->regex) {
        return "needs a location with a prefix, such as "
               "\"location /spaces\", not a regular expression";
    }
#endif

    if (clcf->named || clcf->exact_match) {
        return "needs a location with a prefix, such as "
               "\"location /spaces\", not a named or an exact one";
    }

    return ngx_http_spaces_set_handler(cf, slcf, ngx_http_spaces_api_handler);
}


char *
ngx_http_spaces_oembed_directive(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_spaces_loc_conf_t *slcf = conf;

    ngx_http_core_loc_conf_t     *clcf;
    ngx_http_spaces_main_conf_t  *smcf;

    slcf->is_oembed = 1;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);
    smcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_spaces_module);

    /* a regular expression is no address that a page could tell */

    if (smcf->oembed.len == 0 && clcf->name.len && clcf->name.data[0] == '/') {
        smcf->oembed = clcf->name;
    }

    return ngx_http_spaces_set_handler(cf, conf,
                                       ngx_http_spaces_oembed_handler);
}


char *
ngx_http_spaces_metrics_directive(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    return ngx_http_spaces_set_handler(cf, conf,
                                       ngx_http_spaces_metrics_handler);
}


char *
ngx_http_spaces_handler(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_spaces_loc_conf_t *slcf = conf;

    ngx_str_t  *value;

    value = cf->args->elts;

    if (value[1].len == 0) {
        return "needs what it is of, such as \"$arg_id\", not an empty value";
    }

    if (ngx_http_spaces_compile(cf, &value[1], &slcf->target) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    slcf->is_share = cmd->offset;

    if (cf->args->nelts == 3
        && (value[2].len == 0
            || ngx_strchr("/@$", value[2].data[0]) == NULL))
    {
        return "needs a page such as \"/share.html\", or a named location";
    }

    if (cf->args->nelts == 3
        && ngx_http_spaces_compile(cf, &value[2], &slcf->share_page) != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    return ngx_http_spaces_set_handler(cf, slcf,
                                       (ngx_http_handler_pt) cmd->post);
}


ngx_int_t
ngx_http_spaces_compile(ngx_conf_t *cf, ngx_str_t *value,
    ngx_http_complex_value_t **cv)
{
    ngx_http_compile_complex_value_t  ccv;

    *cv = ngx_palloc(cf->pool, sizeof(ngx_http_complex_value_t));
    if (*cv == NULL) {
        return NGX_ERROR;
    }

    ngx_memzero(&ccv, sizeof(ngx_http_compile_complex_value_t));

    ccv.cf = cf;
    ccv.value = value;
    ccv.complex_value = *cv;

    return ngx_http_compile_complex_value(&ccv);
}
