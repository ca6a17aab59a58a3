
/*
 * Copyright (C) Spaces for nginx contributors
 *
 * What directives take, and say if it is wrong; and the variables.
 */


#ifndef _NGX_HTTP_SPACES_CONF_H_INCLUDED_
#define _NGX_HTTP_SPACES_CONF_H_INCLUDED_


#include "ngx_http_spaces_store.h"


/* all are what ngx_command_t calls "set"; "spaces_redis" has its own file */
char *ngx_http_spaces_zone(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_spaces_path(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_spaces_node(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_spaces_hold(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_spaces_duration(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_spaces_min_free(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_spaces_switch(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_spaces_share_url(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_spaces_max_speakers(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_spaces_bitrate(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_spaces_channels(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_spaces_origin(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_spaces_api(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_spaces_oembed_directive(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_spaces_metrics_directive(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_spaces_handler(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);

/* a value that may hold variables */
ngx_int_t ngx_http_spaces_compile(ngx_conf_t *cf, ngx_str_t *value,
    ngx_http_complex_value_t **cv);

/* $spaces_...: before the configuration is read */
ngx_int_t ngx_http_spaces_add_variables(ngx_conf_t *cf);


#endif /* _NGX_HTTP_SPACES_CONF_H_INCLUDED_ */
