//! The tables of CRMEB that the sample fills, with the columns it writes.

use super::super::sql::{Table, count, tables, words};

tables! {
    CONFIG "eb_system_config": "id menu_name config_tab_id value info";
    OUT_ACCOUNT "eb_out_account": "id appid appsecret title status add_time is_del push_open push_account push_password push_token_url user_update_push order_create_push order_pay_push refund_create_push refund_cancel_push";
    USER "eb_user": "uid account pwd nickname phone add_time last_time last_ip now_money brokerage_price integral status level is_del user_type";
    WECHAT_USER "eb_wechat_user": "id uid openid nickname user_type add_time is_del";
    CANCEL "eb_user_cancel": "id uid name phone add_time status up_time";
    ADMIN "eb_system_admin": "id account pwd real_name roles last_ip last_time add_time login_count level status is_del";
    ROLE "eb_system_role": "id role_name rules level status";
    MENU "eb_system_menus": "id pid menu_name api_url methods unique_auth auth_type is_del";
    LOG "eb_system_log": "id admin_id admin_name path page method ip type add_time";
    STORE "eb_system_store": "id name address detailed_address is_show is_del add_time";
    STORE_STAFF "eb_system_store_staff": "id uid store_id staff_name phone status add_time";
    ORDER "eb_store_order": "id pid order_id trade_no uid real_name user_phone user_address cart_id total_num total_price total_postage pay_price pay_postage deduction_price coupon_price paid pay_time pay_type add_time status refund_status refund_type refund_price mark is_del unique combination_id pink_id seckill_id bargain_id store_id clerk_id is_system_del channel_type";
    ITEM "eb_store_order_cart_info": "id oid uid cart_id product_id cart_num cart_info unique";
    EVENT "eb_store_order_status": "oid change_type change_message change_time";
    REFUND "eb_store_order_refund": "id store_order_id order_id uid refund_type refund_num refund_price refunded_price refund_explain refund_reason refunded_time is_cancel is_del add_time is_system_del";
    CAPITAL "eb_capital_flow": "id flow_id order_id uid nickname phone price trading_type pay_type mark add_time";
    MONEY "eb_user_money": "id uid link_id type title number balance pm mark status add_time";
    BROKERAGE "eb_user_brokerage": "id uid link_id type title number balance pm mark status add_time";
    RECHARGE "eb_user_recharge": "id uid order_id trade_no price give_price recharge_type paid pay_time add_time refund_price channel_type";
    EXTRACT "eb_user_extract": "id uid real_name extract_type bank_code alipay_code wechat extract_price balance status add_time";
    MEMBERSHIP "eb_other_order": "id uid order_id pay_type paid pay_price member_price pay_time trade_no channel_type is_del add_time";
    COUPON "eb_store_coupon_issue": "id title coupon_price use_min_price total_count remain_count is_permanent type start_use_time end_use_time coupon_time status add_time is_del";
    HOLDING "eb_store_coupon_user": "id cid uid coupon_title coupon_price use_min_price add_time use_time status is_fail";
    COMBINATION "eb_store_combination": "id title start_time stop_time is_show is_del people price add_time";
    PINK "eb_store_pink": "id uid order_id order_id_key cid people price add_time stop_time k_id is_refund status is_virtual";
    INVOICE "eb_store_order_invoice": "id uid order_id header_type type name duty_number is_invoice is_refund invoice_number invoice_time add_time";
    FEEDBACK "eb_store_service_feedback": "id uid rela_name phone content status add_time";
}
