
/*
 * Copyright (C) Spaces for nginx contributors
 *
 * The directives, what they are without a value, and the life of the
 * processes.
 */


#include "ngx_http_spaces_cache.h"
#include "ngx_http_spaces_conf.h"
#include "ngx_http_spaces_feed.h"
#include "ngx_http_spaces_reaper.h"
#include "ngx_http_spaces_recovery.h"
#include "ngx_http_spaces_room.h"
#include "ngx_http_spaces_store.h"
#include "ngx_http_spaces_transfer.h"


extern ngx_module_t  ngx_thread_pool_module;


static void *ngx_http_spaces_create_main_conf(ngx_conf_t *cf);
static char *ngx_http_spaces_init_main_conf(ngx_conf_t *cf, void *conf);
static char *ngx_http_spaces_codec_pool(ngx_conf_t *cf,
    ngx_http_spaces_main_conf_t *smcf);
static void *ngx_http_spaces_create_loc_conf(ngx_conf_t *cf);
static char *ngx_http_spaces_merge_loc_conf(ngx_conf_t *cf, void *parent,
    void *child);

static ngx_int_t ngx_http_spaces_init(ngx_conf_t *cf);
static ngx_int_t ngx_http_spaces_mask_handler(ngx_http_request_t *r);
static void ngx_http_spaces_init_descriptors(ngx_cycle_t *cycle);
static ngx_int_t ngx_http_spaces_init_process(ngx_cycle_t *cycle);
static void ngx_http_spaces_exit_process(ngx_cycle_t *cycle);


static ngx_command_t  ngx_http_spaces_commands[] = {

    { ngx_string("spaces_zone"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE2,
      ngx_http_spaces_zone,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("spaces_path"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_http_spaces_path,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("spaces_redis"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_1MORE,
      ngx_http_spaces_redis_directive,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("spaces_node"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_http_spaces_node,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("spaces_min_free"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_http_spaces_min_free,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_http_spaces_main_conf_t, min_free),
      NULL },

    { ngx_string("spaces_user"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_set_complex_value_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_spaces_loc_conf_t, user),
      NULL },

    { ngx_string("spaces_moderator"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_set_complex_value_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_spaces_loc_conf_t, moderator),
      NULL },

    { ngx_string("spaces_record"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_spaces_switch,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_spaces_loc_conf_t, record),
      NULL },

    { ngx_string("spaces_create"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_spaces_switch,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_spaces_loc_conf_t, create),
      NULL },

    { ngx_string("spaces_share_url"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_spaces_share_url,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_spaces_loc_conf_t, share_url),
      NULL },

    { ngx_string("spaces_replay_ttl"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_spaces_duration,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_spaces_loc_conf_t, replay_ttl),
      NULL },

    { ngx_string("spaces_hold"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE12,
      ngx_http_spaces_hold,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("spaces_reconnect"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_spaces_duration,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_spaces_loc_conf_t, reconnect),
      NULL },

    { ngx_string("spaces_max_duration"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_spaces_duration,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_spaces_loc_conf_t, max_duration),
      NULL },

    { ngx_string("spaces_max_speakers"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_spaces_max_speakers,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("spaces_bitrate"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_spaces_bitrate,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("spaces_channels"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_spaces_channels,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("spaces_origin"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_1MORE,
      ngx_http_spaces_origin,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("spaces_api"),
      NGX_HTTP_LOC_CONF|NGX_CONF_NOARGS,
      ngx_http_spaces_api,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("spaces_ingest"),
      NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_spaces_handler,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      ngx_http_spaces_ingest_handler },

    { ngx_string("spaces_live"),
      NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_spaces_handler,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      ngx_http_spaces_live_handler },

    { ngx_string("spaces_events"),
      NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_spaces_handler,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      ngx_http_spaces_events_handler },

    { ngx_string("spaces_replay"),
      NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_spaces_handler,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      ngx_http_spaces_replay_handler },

    { ngx_string("spaces_share"),
      NGX_HTTP_LOC_CONF|NGX_CONF_TAKE12,
      ngx_http_spaces_handler,
      NGX_HTTP_LOC_CONF_OFFSET,
      1,
      ngx_http_spaces_share_handler },

    { ngx_string("spaces_oembed"),
      NGX_HTTP_LOC_CONF|NGX_CONF_NOARGS,
      ngx_http_spaces_oembed_directive,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("spaces_metrics"),
      NGX_HTTP_LOC_CONF|NGX_CONF_NOARGS,
      ngx_http_spaces_metrics_directive,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

      ngx_null_command
};


static ngx_http_module_t  ngx_http_spaces_module_ctx = {
    ngx_http_spaces_add_variables,         /* preconfiguration */
    ngx_http_spaces_init,                  /* postconfiguration */

    ngx_http_spaces_create_main_conf,      /* create main configuration */
    ngx_http_spaces_init_main_conf,        /* init main configuration */

    NULL,                                  /* create server configuration */
    NULL,                                  /* merge server configuration */

    ngx_http_spaces_create_loc_conf,       /* create location configuration */
    ngx_http_spaces_merge_loc_conf         /* merge location configuration */
};


ngx_module_t  ngx_http_spaces_module = {
    NGX_MODULE_V1,
    &ngx_http_spaces_module_ctx,           /* module context */
    ngx_http_spaces_commands,              /* module directives */
    NGX_HTTP_MODULE,                       /* module type */
    NULL,                                  /* init master */
    NULL,                                  /* init module */
    ngx_http_spaces_init_process,          /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    ngx_http_spaces_exit_process,          /* exit process */
    NULL,                                  /* exit master */
    NGX_MODULE_V1_PADDING
};


static void *
ngx_http_spaces_create_main_conf(ngx_conf_t *cf)
{
    ngx_http_spaces_main_conf_t  *smcf;

    smcf = ngx_pcalloc(cf->pool, sizeof(ngx_http_spaces_main_conf_t));
    if (smcf == NULL) {
        return NULL;
    }

    smcf->min_free = NGX_CONF_UNSET;

    return smcf;
}


static char *
ngx_http_spaces_init_main_conf(ngx_conf_t *cf, void *conf)
{
    ngx_http_spaces_main_conf_t *smcf = conf;

    size_t       size;
    const char  *missing;

    ngx_conf_init_value(smcf->min_free, 1024 * 1024 * 1024);

    if (smcf->node.data == NULL) {
        smcf->node = cf->cycle->hostname;
    }

    if (smcf->handler_line == 0) {
        return NGX_CONF_OK;
    }

    missing = NULL;

    if (smcf->shm_zone == NULL) {
        missing = "spaces_zone spaces 64m";

    } else if (smcf->path.data == NULL) {
        missing = "spaces_path /srv/spaces";

    } else if (smcf->redis_conf.name.data == NULL) {
        missing = "spaces_redis 127.0.0.1:6379";
    }

    if (missing) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "Spaces are handled in %V:%ui, but something is missing "
                      "in the \"http\" block: add \"%s;\"",
                      &smcf->handler_file, smcf->handler_line, missing);
        return NGX_CONF_ERROR;
    }

    if (ngx_http_spaces_zone_prepare(cf, smcf->shm_zone, &smcf->path)
        != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    if (smcf->max_speakers == 0) {
        smcf->max_speakers = NGX_HTTP_SPACES_DEFAULT_SPEAKERS;
    }

    size = NGX_HTTP_SPACES_ZONE_REST
           + ngx_http_spaces_room_size(smcf->max_speakers);
    size += ngx_http_spaces_zone_playings(size) + size / 512;

    if (smcf->shm_zone->shm.size < size) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "Spaces are handled in %V:%ui, but \"spaces_zone\" is "
                      "too small for one Space with \"spaces_max_speakers\" "
                      "of %ui: write %uzk at least",
                      &smcf->handler_file, smcf->handler_line,
                      smcf->max_speakers, size / 1024 + 1);
        return NGX_CONF_ERROR;
    }

    smcf->thread_pool = ngx_thread_pool_add(cf, NULL);

    if (smcf->thread_pool == NULL) {
        return NGX_CONF_ERROR;
    }

    return ngx_http_spaces_codec_pool(cf, smcf);
}


/*
 * The threads of "default" may all wait for a disk that stalls, and whoever
 * talks at once is mixed all the same.  A pool is only to be had by its
 * directive, which is given here unless the operator has.
 */

static char *
ngx_http_spaces_codec_pool(ngx_conf_t *cf, ngx_http_spaces_main_conf_t *smcf)
{
    char           *rv;
    u_char          threads[sizeof("threads=") + NGX_INT_T_LEN];
    ngx_str_t       value[3];
    ngx_array_t     args, *given;
    ngx_command_t  *cmd;

    ngx_str_set(&value[1], "spaces_codec");

    smcf->codec_pool = ngx_thread_pool_get(cf->cycle, &value[1]);

    if (smcf->codec_pool) {
        return NGX_CONF_OK;
    }

    cmd = ngx_thread_pool_module.commands;

    value[0] = cmd->name;
    value[2].data = threads;
    value[2].len = ngx_sprintf(threads, "threads=%i", ngx_max(ngx_ncpu, 2))
                   - threads;

    ngx_memzero(&args, sizeof(ngx_array_t));
    args.elts = value;
    args.nelts = 3;

    given = cf->args;
    cf->args = &args;

    rv = cmd->set(cf, cmd, ngx_get_conf(cf->cycle->conf_ctx,
                                        ngx_thread_pool_module));
    cf->args = given;

    smcf->codec_pool = ngx_thread_pool_get(cf->cycle, &value[1]);

    return smcf->codec_pool ? rv : NGX_CONF_ERROR;
}


static void *
ngx_http_spaces_create_loc_conf(ngx_conf_t *cf)
{
    ngx_http_spaces_loc_conf_t  *slcf;

    /*
     * set by ngx_pcalloc():
     *
     *     slcf->target = NULL;
     *     slcf->is_share = 0;
     *     slcf->handler = NULL;
     */

    slcf = ngx_pcalloc(cf->pool, sizeof(ngx_http_spaces_loc_conf_t));
    if (slcf == NULL) {
        return NULL;
    }

    slcf->user = NGX_CONF_UNSET_PTR;
    slcf->moderator = NGX_CONF_UNSET_PTR;
    slcf->record = NGX_CONF_UNSET_PTR;
    slcf->create = NGX_CONF_UNSET_PTR;
    slcf->share_url = NGX_CONF_UNSET_PTR;
    slcf->origins = NGX_CONF_UNSET_PTR;

    slcf->replay_ttl = NGX_CONF_UNSET;
    slcf->hold = NGX_CONF_UNSET;
    slcf->hold_max = NGX_CONF_UNSET;
    slcf->reconnect = NGX_CONF_UNSET;
    slcf->max_duration = NGX_CONF_UNSET;
    slcf->max_speakers = NGX_CONF_UNSET;
    slcf->channels = NGX_CONF_UNSET;
    slcf->bitrate = NGX_CONF_UNSET_SIZE;

    return slcf;
}


static char *
ngx_http_spaces_merge_loc_conf(ngx_conf_t *cf, void *parent, void *child)
{
    ngx_http_spaces_loc_conf_t *prev = parent;
    ngx_http_spaces_loc_conf_t *conf = child;

    ngx_http_core_loc_conf_t  *clcf;

    static ngx_str_t  url = ngx_string("$scheme://$http_host/s/"
                                       "$spaces_token");

    ngx_conf_merge_ptr_value(conf->user, prev->user, NULL);
    ngx_conf_merge_ptr_value(conf->moderator, prev->moderator, NULL);
    ngx_conf_merge_ptr_value(conf->record, prev->record, NULL);
    ngx_conf_merge_ptr_value(conf->create, prev->create, NULL);
    ngx_conf_merge_ptr_value(conf->share_url, prev->share_url, NULL);
    ngx_conf_merge_ptr_value(conf->origins, prev->origins, NULL);

    ngx_conf_merge_sec_value(conf->replay_ttl, prev->replay_ttl,
                             NGX_HTTP_SPACES_DEFAULT_TTL);
    ngx_conf_merge_sec_value(conf->hold, prev->hold,
                             NGX_HTTP_SPACES_DEFAULT_HOLD);
    ngx_conf_merge_sec_value(conf->hold_max, prev->hold_max,
                             NGX_HTTP_SPACES_DEFAULT_HOLD_MAX);
    ngx_conf_merge_sec_value(conf->reconnect, prev->reconnect, 60);
    ngx_conf_merge_sec_value(conf->max_duration, prev->max_duration,
                             12 * 3600);

    ngx_conf_merge_value(conf->max_speakers, prev->max_speakers,
                         NGX_HTTP_SPACES_DEFAULT_SPEAKERS);
    ngx_conf_merge_value(conf->channels, prev->channels, 2);
    ngx_conf_merge_size_value(conf->bitrate, prev->bitrate, 32000);

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    /* "if" and "limit_except" are locations of their own */

    if (clcf->noname && conf->handler == NULL) {
        conf->handler = prev->handler;
        conf->target = prev->target;
        conf->share_page = prev->share_page;
        conf->is_share = prev->is_share;
        conf->is_oembed = prev->is_oembed;
    }

    if (clcf->lmt_excpt && clcf->handler == NULL) {
        clcf->handler = conf->handler;
    }

    if (conf->handler == NULL) {
        return NGX_CONF_OK;
    }

    if (!clcf->noname && clcf->handler != conf->handler) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "the location \"%V\" has a handler of Spaces and "
                      "another, such as \"proxy_pass\": give each a location "
                      "of its own in %V:%ui", &clcf->name, &conf->file,
                      conf->line);
        return NGX_CONF_ERROR;
    }

    if (conf->share_url == NULL
        && ngx_http_spaces_compile(cf, &url, &conf->share_url) != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    /*
     * An ingest is as long as a Space, and the API has a limit and an answer
     * of its own: nginx's limit would end both with a page.
     */

    clcf->client_max_body_size = 0;

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_spaces_init(ngx_conf_t *cf)
{
    ngx_http_handler_pt        *h;
    ngx_http_core_main_conf_t  *cmcf;

    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);

    h = ngx_array_push(&cmcf->phases[NGX_HTTP_PREACCESS_PHASE].handlers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    *h = ngx_http_spaces_mask_handler;

    return NGX_OK;
}


/*
 * As soon as the location is settled: errors are logged with the request line,
 * those of "limit_req" in this same phase too, and modules go last come first
 */

static ngx_int_t
ngx_http_spaces_mask_handler(ngx_http_request_t *r)
{
    ngx_http_spaces_loc_conf_t  *slcf;

    slcf = ngx_http_get_module_loc_conf(r, ngx_http_spaces_module);

    if (slcf->handler == NULL) {
        return NGX_DECLINED;
    }

    ngx_http_spaces_count_request(slcf->handler);

    if (ngx_http_spaces_mask(r) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return NGX_DECLINED;
}


/*
 * A process with threads that needs more descriptors than it has a table for
 * waits in accept() until the kernel has seen all CPUs pass by: 10 ms and more,
 * at 64 of them, 128, 256 and so on.  It gets the largest table now.
 */

static void
ngx_http_spaces_init_descriptors(ngx_cycle_t *cycle)
{
    int            fd;
    rlim_t         last;
    struct rlimit  limit;

    /* connections, and some files */

    last = (rlim_t) cycle->connection_n + 64;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0
        && limit.rlim_cur != RLIM_INFINITY)
    {
        last = ngx_min(last, limit.rlim_cur - 1);
    }

    fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, (int) last);

    if (fd != -1) {
        (void) close(fd);
    }
}


static ngx_int_t
ngx_http_spaces_init_process(ngx_cycle_t *cycle)
{
    ngx_http_spaces_main_conf_t  *smcf;

    if (ngx_process != NGX_PROCESS_WORKER && ngx_process != NGX_PROCESS_SINGLE)
    {
        return NGX_OK;
    }

    smcf = ngx_http_cycle_get_module_main_conf(cycle, ngx_http_spaces_module);

    if (smcf == NULL || smcf->thread_pool == NULL) {
        return NGX_OK;
    }

    ngx_http_spaces_init_descriptors(cycle);

    smcf->zone = smcf->shm_zone->data;

    ngx_http_spaces_metrics_attach(&smcf->zone->sh->metrics);

    smcf->cache = ngx_http_spaces_cache_create();
    smcf->tick = ngx_http_spaces_tick_create(smcf);

    if (smcf->tick == NULL) {
        return NGX_ERROR;
    }

    smcf->rooms = ngx_http_spaces_rooms_create(smcf);
    smcf->feeds = ngx_http_spaces_feeds_create(smcf);
    smcf->transfers = ngx_http_spaces_transfers_create(smcf);
    smcf->redis = ngx_http_spaces_redis_create(smcf,
                                               ngx_http_spaces_store_changed);

    if (smcf->cache == NULL || smcf->rooms == NULL || smcf->feeds == NULL
        || smcf->transfers == NULL || smcf->redis == NULL)
    {
        return NGX_ERROR;
    }

    if (ngx_http_spaces_recovery_start(smcf) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_http_spaces_reaper_start(smcf);
}


static void
ngx_http_spaces_exit_process(ngx_cycle_t *cycle)
{
    ngx_http_spaces_main_conf_t  *smcf;

    smcf = ngx_http_cycle_get_module_main_conf(cycle, ngx_http_spaces_module);

    if (smcf == NULL || smcf->rooms == NULL) {
        return;
    }

    ngx_http_spaces_rooms_leave(smcf->rooms);
    ngx_http_spaces_feeds_destroy(smcf->feeds);
    ngx_http_spaces_redis_destroy(smcf->redis);
    ngx_http_spaces_cache_destroy(smcf->cache);
    ngx_http_spaces_metrics_detach();

    if (!ngx_http_spaces_metrics_attached()) {

        /* the master may stay, and keep the folder open */

        ngx_http_spaces_zone_unlock(smcf->zone);
    }

    ngx_http_spaces_log_flush();
}
