//! The tables of ruoyi-vue-pro that the sample fills, with the columns it writes.

use super::super::sql::{Table, count, tables, words};

tables! {
    TENANTS "system_tenant": "id name contact_name contact_mobile status package_id expire_time account_count create_time update_time deleted";
    SOCIAL_CLIENT "system_social_client": "id name social_type user_type client_id client_secret status update_time deleted tenant_id";
    SOCIAL_USER "system_social_user": "id type openid token raw_token_info nickname raw_user_info code deleted tenant_id";
    SOCIAL_BIND "system_social_user_bind": "id user_id user_type social_type social_user_id deleted tenant_id";
    USERS "system_users": "id username nickname mobile password status login_ip login_date creator create_time updater update_time deleted tenant_id";
    ROLE "system_role": "id name code sort data_scope status type create_time deleted tenant_id";
    MENU "system_menu": "id name permission type sort parent_id";
    ROLE_MENU "system_role_menu": "id role_id menu_id creator create_time updater update_time deleted tenant_id";
    USER_ROLE "system_user_role": "id user_id role_id creator create_time updater update_time deleted tenant_id";
    ACCESS_TOKEN "system_oauth2_access_token": "id access_token refresh_token user_id user_type user_info client_id expires_time create_time update_time deleted tenant_id";
    REFRESH_TOKEN "system_oauth2_refresh_token": "id refresh_token user_id user_type client_id expires_time create_time update_time deleted tenant_id";
    OPERATE_LOG "system_operate_log": "id user_id user_type type sub_type biz_id action user_ip user_agent create_time deleted tenant_id";
    LOGIN_LOG "system_login_log": "id log_type user_id user_type username result user_ip user_agent create_time deleted tenant_id";
    ACCESS_LOG "infra_api_access_log": "id user_id user_type application_name request_method request_url request_params user_ip user_agent operate_module begin_time end_time duration result_code create_time deleted tenant_id";
    MEMBER "member_user": "id mobile password nickname level_id point status create_time update_time deleted tenant_id";
    KEFU "promotion_kefu_message": "id sender_id sender_type receiver_id receiver_type content read_status create_time deleted tenant_id";
    PAY_APP "pay_app": "id app_key name status order_notify_url refund_notify_url transfer_notify_url create_time deleted tenant_id";
    PAY_CHANNEL "pay_channel": "id code status fee_rate app_id config create_time updater update_time deleted tenant_id";
    PAY_ORDER "pay_order": "id app_id channel_id channel_code user_id user_type merchant_order_id subject price channel_fee_price status user_ip expire_time success_time extension_id no refund_price channel_user_id channel_order_no create_time update_time deleted tenant_id";
    EXTENSION "pay_order_extension": "id no order_id channel_id channel_code status channel_error_code channel_error_msg channel_notify_data create_time update_time deleted tenant_id";
    REFUND "pay_refund": "id no app_id channel_id channel_code order_id order_no merchant_order_id merchant_refund_id status pay_price refund_price reason channel_order_no channel_refund_no success_time channel_error_code channel_notify_data create_time update_time deleted tenant_id";
    NOTIFY "pay_notify_task": "id app_id type data_id merchant_order_id status last_execute_time notify_times max_notify_times notify_url create_time deleted tenant_id";
    WALLET "pay_wallet": "id user_id user_type balance freeze_price total_expense total_recharge update_time deleted tenant_id";
    WALLET_LINE "pay_wallet_transaction": "id no wallet_id biz_type biz_id title price balance create_time deleted tenant_id";
    RECHARGE "pay_wallet_recharge": "id wallet_id total_price pay_price bonus_price pay_status pay_order_id pay_channel_code pay_time refund_pay_price refund_time refund_status create_time deleted tenant_id";
    ORDER "trade_order": "id no type terminal user_id status product_count pay_order_id pay_status pay_time refund_status refund_price total_price discount_price delivery_price coupon_price point_price vip_price pay_price delivery_time receive_time finish_time cancel_time cancel_type receiver_name receiver_mobile receiver_detail_address user_remark combination_activity_id combination_head_id combination_record_id create_time update_time deleted tenant_id";
    ITEM "trade_order_item": "id order_id user_id sku_id spu_name count price discount_price coupon_price point_price vip_price pay_price deleted tenant_id";
    ORDER_LOG "trade_order_log": "id user_id user_type order_id before_status after_status operate_type content create_time deleted tenant_id";
    AFTERSALE "trade_after_sale": "id no status way type user_id apply_reason apply_description order_id order_no order_item_id count audit_time audit_user_id refund_price pay_refund_id refund_time create_time update_time deleted tenant_id";
    AFTERSALE_LOG "trade_after_sale_log": "id user_id user_type after_sale_id before_status after_status operate_type content create_time deleted tenant_id";
    COUPON_TEMPLATE "promotion_coupon_template": "id name status total_count take_count use_price product_scope validity_type fixed_end_term discount_type discount_percent discount_price creator create_time update_time deleted tenant_id";
    COUPON "promotion_coupon": "id template_id status user_id discount_type discount_price use_order_id use_time create_time deleted tenant_id";
    COMBINATION "promotion_combination_activity": "id name spu_id start_time end_time user_size status creator create_time update_time deleted tenant_id";
    COMBINATION_RECORD "promotion_combination_record": "id activity_id combination_price user_id head_id status order_id user_size user_count start_time expire_time deleted tenant_id";
    BROKERAGE_LINE "trade_brokerage_record": "id user_id biz_id biz_type title price status create_time deleted tenant_id";
    BROKERAGE_USER "trade_brokerage_user": "id brokerage_price frozen_price update_time deleted tenant_id";
    WITHDRAW "trade_brokerage_withdraw": "id user_id price fee_price type user_account status audit_time pay_transfer_id transfer_time create_time update_time deleted tenant_id";
}
