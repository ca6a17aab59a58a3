
/*
 * Copyright (C) Spaces for nginx contributors
 */


#include "ngx_http_spaces_redis_link.h"
#include "ngx_http_spaces_metrics.h"


/* the first pause, ms; it is doubled each time, and half of it is random */
#define NGX_HTTP_SPACES_REDIS_MIN_PAUSE  100

/*
 * A connection that is only read from may be dead for hours, if the other side
 * went without a word: so often it is made to answer, ms
 */
#define NGX_HTTP_SPACES_REDIS_BEAT       2000


static ngx_int_t ngx_http_spaces_redis_attach(
    ngx_http_spaces_redis_link_t *link);
static ngx_int_t ngx_http_spaces_redis_greet(
    ngx_http_spaces_redis_link_t *link);
static int ngx_http_spaces_redis_subscribe(ngx_http_spaces_redis_link_t *link);
static void ngx_http_spaces_redis_on_connect(const redisAsyncContext *ac,
    int status);
static void ngx_http_spaces_redis_on_disconnect(const redisAsyncContext *ac,
    int status);
static void ngx_http_spaces_redis_on_greet(redisAsyncContext *ac, void *reply,
    void *data);
static void ngx_http_spaces_redis_on_message(redisAsyncContext *ac,
    void *reply, void *data);
static void ngx_http_spaces_redis_up(ngx_http_spaces_redis_link_t *link);
static void ngx_http_spaces_redis_drop(ngx_http_spaces_redis_link_t *link);
static void ngx_http_spaces_redis_retry(ngx_http_spaces_redis_link_t *link);
static void ngx_http_spaces_redis_pause_handler(ngx_event_t *ev);
static void ngx_http_spaces_redis_timeout_handler(ngx_event_t *ev);
static void ngx_http_spaces_redis_beat_handler(ngx_event_t *ev);
static void ngx_http_spaces_redis_read_handler(ngx_event_t *ev);
static void ngx_http_spaces_redis_write_handler(ngx_event_t *ev);
static void ngx_http_spaces_redis_add_read(void *data);
static void ngx_http_spaces_redis_del_read(void *data);
static void ngx_http_spaces_redis_add_write(void *data);
static void ngx_http_spaces_redis_del_write(void *data);
static void ngx_http_spaces_redis_cleanup(void *data);


void
ngx_http_spaces_redis_link_init(ngx_http_spaces_redis_link_t *link,
    ngx_http_spaces_main_conf_t *smcf, const char *purpose,
    ngx_http_spaces_redis_change_pt change,
    ngx_http_spaces_redis_up_pt up, void *data)
{
    link->smcf = smcf;
    link->purpose = purpose;
    link->change = change;
    link->up = up;
    link->data = data;
    link->wait = NGX_HTTP_SPACES_REDIS_MIN_PAUSE;

    link->pause.handler = ngx_http_spaces_redis_pause_handler;
    link->pause.data = link;
    link->pause.log = ngx_cycle->log;
    link->pause.cancelable = 1;

    link->timeout.handler = ngx_http_spaces_redis_timeout_handler;
    link->timeout.data = link;
    link->timeout.log = ngx_cycle->log;
    link->timeout.cancelable = 1;

    link->beat.handler = ngx_http_spaces_redis_beat_handler;
    link->beat.data = link;
    link->beat.log = ngx_cycle->log;
    link->beat.cancelable = 1;
}


void
ngx_http_spaces_redis_link_connect(ngx_http_spaces_redis_link_t *link)
{
    redisAsyncContext             *ac;
    ngx_http_spaces_redis_conf_t  *conf;

    conf = &link->smcf->redis_conf;

    link->connected = 0;
    link->attempted = ngx_current_msec;

    ac = conf->port ? redisAsyncConnect((char *) conf->host.data, conf->port)
                    : redisAsyncConnectUnix((char *) conf->host.data);

    if (ac == NULL) {
        ngx_http_spaces_redis_retry(link);
        return;
    }

    if (ac->err) {
        link->ac = ac;
        ac->data = NULL;
        ngx_http_spaces_redis_link_lost(link, ac->errstr);
        return;
    }

    ac->data = link;
    link->ac = ac;

    if (ngx_http_spaces_redis_attach(link) != NGX_OK) {
        ngx_http_spaces_redis_link_lost(link, "no free connection");
        return;
    }

    (void) redisAsyncSetDisconnectCallback(ac,
                                         ngx_http_spaces_redis_on_disconnect);
    (void) redisAsyncSetConnectCallback(ac, ngx_http_spaces_redis_on_connect);

    ngx_add_timer(&link->timeout, conf->timeout);

    if (ngx_http_spaces_redis_greet(link) != NGX_OK) {
        ngx_http_spaces_redis_link_lost(link, "no memory");
    }
}


static ngx_int_t
ngx_http_spaces_redis_attach(ngx_http_spaces_redis_link_t *link)
{
    ngx_connection_t   *c;
    redisAsyncContext  *ac;

    ac = link->ac;

    c = ngx_get_connection(ac->c.fd, ngx_cycle->log);
    if (c == NULL) {
        return NGX_ERROR;
    }

    c->data = link;
    c->log = ngx_cycle->log;
    c->read->log = c->log;
    c->write->log = c->log;

    c->read->handler = ngx_http_spaces_redis_read_handler;
    c->write->handler = ngx_http_spaces_redis_write_handler;

    /* neither "idle" nor a reason for a leaving worker to stay or complain */

    c->read->channel = 1;
    c->write->channel = 1;

    link->connection = c;
    link->attached = ac;

    ac->ev.data = link;
    ac->ev.addRead = ngx_http_spaces_redis_add_read;
    ac->ev.delRead = ngx_http_spaces_redis_del_read;
    ac->ev.addWrite = ngx_http_spaces_redis_add_write;
    ac->ev.delWrite = ngx_http_spaces_redis_del_write;
    ac->ev.cleanup = ngx_http_spaces_redis_cleanup;

    return NGX_OK;
}


/* the first commands of a connection, sent before it stands */

static ngx_int_t
ngx_http_spaces_redis_greet(ngx_http_spaces_redis_link_t *link)
{
    int                            rc;
    redisAsyncContext             *ac;
    ngx_http_spaces_redis_conf_t  *conf;

    ac = link->ac;
    conf = &link->smcf->redis_conf;

    if (conf->password.len && conf->user.len) {
        rc = redisAsyncCommand(ac, ngx_http_spaces_redis_on_greet, link,
                               "AUTH %b %b",
                               conf->user.data, conf->user.len,
                               conf->password.data, conf->password.len);

    } else if (conf->password.len) {
        rc = redisAsyncCommand(ac, ngx_http_spaces_redis_on_greet, link,
                               "AUTH %b",
                               conf->password.data, conf->password.len);

    } else {
        rc = REDIS_OK;
    }

    if (rc == REDIS_OK && conf->db) {
        rc = redisAsyncCommand(ac, ngx_http_spaces_redis_on_greet, link,
                               "SELECT %d", (int) conf->db);
    }

    if (rc == REDIS_OK && link->change) {
        rc = ngx_http_spaces_redis_subscribe(link);

    } else if (rc == REDIS_OK) {
        rc = redisAsyncCommand(ac, ngx_http_spaces_redis_on_greet, link,
                               "PING");
    }

    return rc == REDIS_OK ? NGX_OK : NGX_ERROR;
}


/* once more does no harm, and is answered as the first time */

static int
ngx_http_spaces_redis_subscribe(ngx_http_spaces_redis_link_t *link)
{
    ngx_http_spaces_redis_conf_t  *conf;

    conf = &link->smcf->redis_conf;

    return redisAsyncCommand(link->ac, ngx_http_spaces_redis_on_message, link,
                             "SUBSCRIBE %bchanged",
                             conf->prefix.data, conf->prefix.len);
}


static void
ngx_http_spaces_redis_on_connect(const redisAsyncContext *ac, int status)
{
    ngx_http_spaces_redis_link_t  *link = ac->data;

    if (status == REDIS_OK) {
        return;
    }

    /* hiredis frees the context by itself, after this */

    link->ac = NULL;
    ngx_http_spaces_redis_link_lost(link, ac->errstr);
}


static void
ngx_http_spaces_redis_on_disconnect(const redisAsyncContext *ac, int status)
{
    ngx_http_spaces_redis_link_t  *link = ac->data;

    if (link == NULL || link->ac != ac) {
        return;
    }

    link->ac = NULL;
    ngx_http_spaces_redis_link_lost(link, status == REDIS_OK ? "closed"
                                                        : ac->errstr);
}


static void
ngx_http_spaces_redis_on_greet(redisAsyncContext *ac, void *r, void *data)
{
    ngx_uint_t                     level;
    redisReply                    *reply = r;
    ngx_http_spaces_redis_link_t  *link = data;

    if (reply == NULL || link->ac != ac) {
        return;
    }

    if (reply->type == REDIS_REPLY_ERROR) {

        /* LOADING passes, a wrong password does not: both are tried again */

        ngx_http_spaces_redis_link_lost(link, reply->str);
        return;
    }

    if (reply->type != REDIS_REPLY_STATUS) {
        ngx_http_spaces_redis_link_lost(link, "it does not answer as Redis");
        return;
    }

    if (ngx_strcmp(reply->str, "PONG") == 0 && !link->connected) {
        level = link->complained ? NGX_LOG_NOTICE : NGX_LOG_INFO;

        ngx_log_error(level, ngx_cycle->log, 0, "redis %V is connected",
                      &link->smcf->redis_conf.name);

        ngx_http_spaces_metrics_add(ngx_http_spaces_metric_redis_connects, 1);
        ngx_http_spaces_metrics_redis(1);

        link->generation++;

        ngx_http_spaces_redis_up(link);
    }
}


static void
ngx_http_spaces_redis_on_message(redisAsyncContext *ac, void *r, void *data)
{
    ngx_str_t                      id;
    redisReply                    *reply = r;
    ngx_http_spaces_redis_link_t  *link = data;

    if (reply == NULL || link->ac != ac) {
        return;
    }

    if (reply->type == REDIS_REPLY_ERROR) {
        ngx_http_spaces_redis_link_lost(link, reply->str);
        return;
    }

    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 3) {
        return;
    }

    if (!link->connected) {
        ngx_http_spaces_redis_up(link);
    }

    if (reply->element[2]->type == REDIS_REPLY_INTEGER) {

        /* it is subscribed, or still is */

        if (link->timeout.timer_set) {
            ngx_del_timer(&link->timeout);
        }

        if (!link->beat.timer_set) {
            ngx_add_timer(&link->beat, NGX_HTTP_SPACES_REDIS_BEAT);
        }

        return;
    }

    if (reply->element[2]->type != REDIS_REPLY_STRING) {
        return;
    }

    id.data = (u_char *) reply->element[2]->str;
    id.len = reply->element[2]->len;

    link->change(link->smcf, &id);
}


static void
ngx_http_spaces_redis_up(ngx_http_spaces_redis_link_t *link)
{
    link->connected = 1;
    link->complained = 0;
    link->wait = NGX_HTTP_SPACES_REDIS_MIN_PAUSE;

    if (link->timeout.timer_set) {
        ngx_del_timer(&link->timeout);
    }

    link->up(link->data);
}


void
ngx_http_spaces_redis_link_lost(ngx_http_spaces_redis_link_t *link,
    const char *why)
{
    if (!link->complained && !link->closing) {
        link->complained = 1;

        ngx_http_spaces_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                        "redis %V is not to be had for %s: %s; live audio goes "
                        "on, what needs Redis is answered with 503 until it is "
                        "back", &link->smcf->redis_conf.name,
                        link->purpose, why);
    }

    ngx_http_spaces_metrics_add(ngx_http_spaces_metric_redis_lost, 1);

    link->missed = 1;

    ngx_http_spaces_redis_drop(link);
    ngx_http_spaces_redis_retry(link);
}


void
ngx_http_spaces_redis_link_close(ngx_http_spaces_redis_link_t *link)
{
    link->closing = 1;

    ngx_http_spaces_redis_drop(link);
}


static void
ngx_http_spaces_redis_drop(ngx_http_spaces_redis_link_t *link)
{
    redisAsyncContext  *ac;

    ac = link->ac;

    link->ac = NULL;
    link->connected = 0;

    if (link->change == NULL) {
        ngx_http_spaces_metrics_redis(0);
    }

    if (link->timeout.timer_set) {
        ngx_del_timer(&link->timeout);
    }

    if (link->beat.timer_set) {
        ngx_del_timer(&link->beat);
    }

    if (link->pause.timer_set) {
        ngx_del_timer(&link->pause);
    }

    if (ac) {
        /* all callbacks are called with no reply; inside one it is put off */
        redisAsyncFree(ac);
    }
}


static void
ngx_http_spaces_redis_retry(ngx_http_spaces_redis_link_t *link)
{
    ngx_msec_t  wait;

    if (link->closing || ngx_exiting || ngx_terminate
        || link->pause.timer_set)
    {
        return;
    }

    wait = link->wait / 2 + (ngx_msec_t) ngx_random() % (link->wait / 2 + 1);

    link->wait = ngx_min(link->wait * 2, NGX_HTTP_SPACES_REDIS_MAX_PAUSE);

    ngx_add_timer(&link->pause, wait);
}


ngx_int_t
ngx_http_spaces_redis_link_wake(ngx_http_spaces_redis_link_t *link)
{
    /* while hiredis still tells those who wait it has the one before */

    if (link->ac == NULL && link->attached == NULL && link->pause.timer_set
        && !ngx_exiting
        && ngx_current_msec - link->attempted
           >= NGX_HTTP_SPACES_REDIS_MIN_PAUSE)
    {
        ngx_del_timer(&link->pause);
        ngx_http_spaces_redis_link_connect(link);
    }

    return link->ac ? NGX_OK : NGX_ERROR;
}


static void
ngx_http_spaces_redis_pause_handler(ngx_event_t *ev)
{
    ngx_http_spaces_redis_link_connect(ev->data);
}


static void
ngx_http_spaces_redis_timeout_handler(ngx_event_t *ev)
{
    ngx_http_spaces_redis_link_t  *link = ev->data;

    ngx_http_spaces_redis_link_lost(link, link->connected
                                          ? "no answer in time"
                                          : "no connection in time");
}


static void
ngx_http_spaces_redis_beat_handler(ngx_event_t *ev)
{
    ngx_http_spaces_redis_link_t  *link = ev->data;

    if (ngx_http_spaces_redis_subscribe(link) != REDIS_OK) {
        ngx_http_spaces_redis_link_lost(link, "no memory");
        return;
    }

    ngx_add_timer(&link->timeout, link->smcf->redis_conf.timeout);
}


static void
ngx_http_spaces_redis_read_handler(ngx_event_t *ev)
{
    ngx_connection_t              *c = ev->data;
    ngx_http_spaces_redis_link_t  *link = c->data;

    if (link->ac) {
        redisAsyncHandleRead(link->ac);
    }
}


static void
ngx_http_spaces_redis_write_handler(ngx_event_t *ev)
{
    ngx_connection_t              *c = ev->data;
    ngx_http_spaces_redis_link_t  *link = c->data;

    if (link->ac) {
        redisAsyncHandleWrite(link->ac);
    }
}


/* level-triggered: hiredis reads 16 KB at a time, and stops there */

static void
ngx_http_spaces_redis_add_read(void *data)
{
    ngx_http_spaces_redis_link_t  *link = data;

    if (!link->connection->read->active) {
        (void) ngx_add_event(link->connection->read, NGX_READ_EVENT,
                             NGX_LEVEL_EVENT);
    }
}


static void
ngx_http_spaces_redis_del_read(void *data)
{
    ngx_http_spaces_redis_link_t  *link = data;

    if (link->connection->read->active) {
        (void) ngx_del_event(link->connection->read, NGX_READ_EVENT, 0);
    }
}


static void
ngx_http_spaces_redis_add_write(void *data)
{
    ngx_http_spaces_redis_link_t  *link = data;

    if (!link->connection->write->active) {
        (void) ngx_add_event(link->connection->write, NGX_WRITE_EVENT,
                             NGX_LEVEL_EVENT);
    }
}


static void
ngx_http_spaces_redis_del_write(void *data)
{
    ngx_http_spaces_redis_link_t  *link = data;

    if (link->connection->write->active) {
        (void) ngx_del_event(link->connection->write, NGX_WRITE_EVENT, 0);
    }
}


/* the descriptor is closed here: hiredis must not do it again */

static void
ngx_http_spaces_redis_cleanup(void *data)
{
    ngx_connection_t              *c;
    ngx_http_spaces_redis_link_t  *link = data;

    if (link == NULL || link->connection == NULL) {
        return;
    }

    c = link->connection;

    link->attached->c.fd = -1;
    link->attached->ev.data = NULL;

    link->attached = NULL;
    link->connection = NULL;

    ngx_close_connection(c);
}
