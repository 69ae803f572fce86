# Which .c files go where; both Makefiles read it. A file that is in none of the
# lists is the helper's alone: a new source_x.c, for example.

# mod_extip.so, with ProFTPD inside. The last ones, and the first one below, are
# what runs in each session before the greeting: side by side, they cost it one
# page fault.
extip_module_only = arrivals check check_run directives forward_ports \
  forward_status forward_table ftpdctl log metrics router_conf \
  session_forwards status summary verdict helper mod_extip plan session shared

# mod_extip.so and extip-helper
extip_both = table behind_nat clock confine extract ipv4 json percent \
  portforward printable probe table_file task uri vote

# extip-upnp; all but the first are the helper's, too
extip_upnp_only = extip-upnp
extip_upnp_both = confine ipv4 upnp
