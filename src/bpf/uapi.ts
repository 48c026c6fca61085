/** Numbers of linux/bpf.h and linux/socket.h that the programs use. */

/** `enum bpf_func_id`: what programs may call. */
export const BPF_FUNC_map_lookup_elem = 1;
export const BPF_FUNC_map_update_elem = 2;
export const BPF_FUNC_map_delete_elem = 3;
export const BPF_FUNC_ktime_get_ns = 5;
export const BPF_FUNC_get_current_uid_gid = 15;
export const BPF_FUNC_get_current_comm = 16;
export const BPF_FUNC_get_current_task = 35;
export const BPF_FUNC_get_socket_cookie = 46;
export const BPF_FUNC_get_current_cgroup_id = 80;
export const BPF_FUNC_probe_read_kernel = 113;
export const BPF_FUNC_probe_read_kernel_str = 115;
export const BPF_FUNC_get_netns_cookie = 122;
export const BPF_FUNC_get_current_ancestor_cgroup_id = 123;

/** Flags of an update: create or replace. */
export const BPF_ANY = 0;

/** Offsets in `struct bpf_sock`, what cgroup/sock_create and cgroup/sock_release programs are given. */
export const BPF_SOCK_FAMILY = 4;
export const BPF_SOCK_TYPE = 8;
export const BPF_SOCK_PROTOCOL = 12;
export const BPF_SOCK_MARK = 16;

export const AF_INET = 2;
export const AF_INET6 = 10;
